// SPDX-License-Identifier: Apache-2.0
// A frozen weight matrix in its stored format. That it has no gradient and never changes is a
// property of the type, not a flag. It is used in products with activations (Backend::Linear*) or
// decoded row by row.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/file.h"
#include "tensor/dtype.h"
#include "tensor/quant/format.h"
#include "tensor/tensor.h"

namespace retort {

// The block maxima of NF4 and FP4. A block is 64 consecutive values of the row-major flattened
// matrix (blocks may cross rows). Plain: one float per block. Double-quantised: one 8-bit code per
// block, an index into the signed dynamic map, scaled by one float per 256 blocks, plus the mean of
// all maxima (QLoRA, arXiv 2305.14314; bitsandbytes' layout).
struct Nf4Scales {
  bool double_quant = false;
  Tensor absmax;         // f32 [blocks]; empty when double-quantised
  Tensor codes;          // u8 [blocks]
  Tensor nested_absmax;  // f32 [ceil(blocks / 256)]
  float offset = 0;
};

// How the blocks of Q8_0 and Q4_0 are ordered: row by row, as in files, or in strips of 32 rows, as
// products with one output per vector lane read them (tensor/quant/strips.h). All other formats are
// stored in rows.
enum class WeightLayout : uint8_t { kRows, kStrips };

class Weight {
 public:
  Weight() = default;
  // Borrows `bytes` (blocks in that layout, or the packed codes of NF4 and FP4) and holds `owner`,
  // which keeps them alive (a mapped file, a tensor's storage).
  Weight(WeightFormat format, int64_t rows, int64_t cols, Bytes bytes,
         std::shared_ptr<const void> owner, Nf4Scales nf4 = {},
         WeightLayout layout = WeightLayout::kRows);

  WeightFormat format() const { return format_; }
  WeightLayout layout() const { return layout_; }
  int64_t rows() const { return rows_; }  // outputs
  int64_t cols() const { return cols_; }  // inputs
  bool empty() const { return rows_ == 0; }
  Bytes bytes() const { return bytes_; }
  const Nf4Scales& nf4() const { return nf4_; }
  const std::shared_ptr<const void>& owner() const { return owner_; }
  int64_t total_bytes() const;  // block maxima included
  // A view of rows [begin, begin + count) of a matrix in WeightLayout::kRows; of NF4 and FP4 only
  // all of them.
  Weight RowRange(int64_t begin, int64_t count) const;

 private:
  WeightFormat format_ = WeightFormat::kF32;
  WeightLayout layout_ = WeightLayout::kRows;
  int64_t rows_ = 0, cols_ = 0;
  Bytes bytes_;
  std::shared_ptr<const void> owner_;
  Nf4Scales nf4_;
};

// Bytes of one row of `cols` elements, for formats whose rows are whole blocks. Throws
// Error{kInput} when cols is not a multiple of the block size.
int64_t RowBytes(WeightFormat format, int64_t cols);

}  // namespace retort
