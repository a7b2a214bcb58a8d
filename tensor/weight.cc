// SPDX-License-Identifier: Apache-2.0
#include "tensor/weight.h"

#include "tensor/quant/strips.h"

namespace retort {
namespace {

int64_t BytesOf(WeightFormat format, int64_t rows, int64_t cols, WeightLayout layout) {
  if (layout == WeightLayout::kStrips) return StripCount(rows) * StripBytes(format, cols);
  const BlockFormat& f = TraitsOf(format);
  if (!f.flattened) return rows * RowBytes(format, cols);
  return (rows * cols * f.block_bytes + f.block_elements - 1) / f.block_elements;
}

}  // namespace

Weight Weight::RowRange(int64_t begin, int64_t count) const {
  if (begin == 0 && count == rows_) return *this;
  RETORT_CHECK(layout_ == WeightLayout::kRows && !TraitsOf(format_).flattened, "rows of ",
               TraitsOf(format_).name);
  RETORT_CHECK(begin >= 0 && count >= 0 && begin + count <= rows_, "rows ", begin, " + ", count,
               " of ", rows_);
  const auto row_bytes = static_cast<size_t>(RowBytes(format_, cols_));
  return Weight(format_, count, cols_,
                bytes_.subspan(static_cast<size_t>(begin) * row_bytes,
                               static_cast<size_t>(count) * row_bytes),
                owner_);
}

int64_t RowBytes(WeightFormat format, int64_t cols) {
  const BlockFormat& t = TraitsOf(format);
  if (cols % t.block_elements != 0) {
    throw InputError("rows of ", cols, " values do not divide into ", t.name, " blocks of ",
                     t.block_elements);
  }
  return cols / t.block_elements * t.block_bytes;
}

Weight::Weight(WeightFormat format, int64_t rows, int64_t cols, Bytes bytes,
               std::shared_ptr<const void> owner, Nf4Scales nf4, WeightLayout layout)
    : format_(format),
      layout_(layout),
      rows_(rows),
      cols_(cols),
      bytes_(bytes),
      owner_(std::move(owner)),
      nf4_(std::move(nf4)) {
  const int64_t want = BytesOf(format, rows, cols, layout);
  RETORT_CHECK(static_cast<int64_t>(bytes.size()) == want, TraitsOf(format).name, " weight of ",
               rows, " x ", cols, ": want ", want, " bytes, got ", bytes.size());
}

int64_t Weight::total_bytes() const {
  return static_cast<int64_t>(bytes_.size()) + nf4_.absmax.bytes() + nf4_.codes.bytes() +
         nf4_.nested_absmax.bytes();
}

}  // namespace retort
