// SPDX-License-Identifier: Apache-2.0
// Strips of weights written as small unsigned integers (BlockFormat::codes) times many int8 rows.
// The codes of kStripRows weight rows are packed for the L1, then meet all tiles of x.
#pragma once

#include "tensor/cpu/int8_panels.h"

namespace retort {

// Whether there are such products on `isa`.
bool HasCodeTiles(Isa isa);

// Weights have BlockFormat::codes and WeightLayout::kRows. Needs HasCodeTiles().
class CodeTiles : public TileKernel {
 public:
  CodeTiles(Isa isa, int64_t cols);

  void Interleave(const Int8Row* x, int64_t rows, int64_t blocks, std::byte* tile) const override;
  PackedInt8 Pack(const Weight& w, int64_t row, int64_t first, int64_t blocks,
                  std::byte* room) const override;
  bool LastStripOverlaps(const Weight&) const override { return false; }
  void Multiply(const std::byte* tile, int64_t rows, const PackedInt8& w, int64_t blocks,
                const float* before, float* out, int64_t stride, Ahead& ahead) const override;

 private:
  Isa isa_;
};

// All products with x, of many rows.
void CodeTilesForward(ThreadPool& pool, Memory& memory, Isa isa, const float* x, int64_t rows,
                      std::span<WeightProduct> products);

}  // namespace retort
