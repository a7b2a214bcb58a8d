// SPDX-License-Identifier: Apache-2.0
// A frozen weight matrix in whatever format it is stored. It has no gradient and never changes:
// that is its type, not a flag. It is used through its product with activations (Backend::Linear*)
// or decoded row by row.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/file.h"
#include "tensor/dtype.h"
#include "tensor/quant/format.h"
#include "tensor/tensor.h"

namespace retort {

// NF4's block maxima: of 64 consecutive values of the row-major flattened matrix (blocks may cross
// rows). Plain: one float a block. Double-quantised: an 8-bit code a block into the signed dynamic
// map, scaled by one float for every 256 blocks, plus the mean of all maxima (QLoRA, arXiv
// 2305.14314; bitsandbytes' layout).
struct Nf4Scales {
  bool double_quant = false;
  Tensor absmax;         // f32 [blocks]; empty when double-quantised
  Tensor codes;          // u8 [blocks]
  Tensor nested_absmax;  // f32 [ceil(blocks / 256)]
  float offset = 0;
};

// How the blocks of Q8_0 and Q4_0 lie: row after row, as files have them, or in strips of 32 rows,
// as products with outputs along their vectors read them (tensor/quant/strips.h). All other formats
// lie in rows.
enum class WeightLayout : uint8_t { kRows, kStrips };

class Weight {
 public:
  Weight() = default;
  // Borrows `bytes` (blocks in that layout, or the packed codes of NF4) and holds `owner`, which
  // keeps them alive (a mapped file, a tensor's storage).
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
  // Rows [begin, begin + count) of a matrix that lies in rows, NF4 apart; nothing is copied.
  Weight RowRange(int64_t begin, int64_t count) const;

 private:
  WeightFormat format_ = WeightFormat::kF32;
  WeightLayout layout_ = WeightLayout::kRows;
  int64_t rows_ = 0, cols_ = 0;
  Bytes bytes_;
  std::shared_ptr<const void> owner_;
  Nf4Scales nf4_;
};

// Bytes of one row of `cols` elements of a format whose rows are whole blocks.
// Throws Error{kInput} when a row does not divide into blocks.
int64_t RowBytes(WeightFormat format, int64_t cols);

}  // namespace retort
