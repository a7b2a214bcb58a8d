// SPDX-License-Identifier: Apache-2.0
// Products of block-quantised weights with many int8 rows, a strip of weight rows at a time. The
// strip's blocks are packed for the L1 and meet tiles of rows of x; a TileKernel knows how.
#pragma once

#include <span>

#include "base/threads.h"
#include "tensor/cpu/int8_rows.h"
#include "tensor/cpu/int8_tile.h"
#include "tensor/cpu/products.h"

namespace retort {

class TileKernel {
 public:
  struct Sizes {
    int64_t tile_rows;        // at most; not more than kInt8TileRows
    int64_t row_block_bytes;  // of a tile, for a block of one row
    int64_t packed_bytes;     // of a packed block of a strip, a multiple of 64
    int64_t most_blocks;      // packed at a time: they fit in the L1
    int64_t block_step;       // blocks packed at a time are a multiple of this, but for the last
  };
  explicit TileKernel(const Sizes& sizes) : sizes_(sizes) {}
  virtual ~TileKernel() = default;

  const Sizes& sizes() const { return sizes_; }
  int64_t TileBytes(int64_t rows, int64_t blocks) const {
    return rows * blocks * sizes_.row_block_bytes;
  }
  // The rows of a tile, block by block.
  virtual void Interleave(const Int8Row* x, int64_t rows, int64_t blocks,
                          std::byte* tile) const = 0;
  // Whether the last strip, where it is short, is packed as the last kStripRows rows, all of which
  // must exist; else rows are missing at its end.
  virtual bool LastStripOverlaps(const Weight& w) const = 0;
  // Packs blocks [first, first + blocks) of w's rows [row, row + kStripRows) into `room`, 64-byte
  // aligned, or finds them in place.
  virtual PackedInt8 Pack(const Weight& w, int64_t row, int64_t first, int64_t blocks,
                          std::byte* room) const = 0;
  // out = before + the products of a tile's rows with packed weights, summed block by block; `tile`
  // points to the first of the blocks. before [rows,kStripRows], 64-byte aligned, or null for
  // zeros; out's rows are `stride` apart.
  virtual void Multiply(const std::byte* tile, int64_t rows, const PackedInt8& w, int64_t blocks,
                        const float* before, float* out, int64_t stride, Ahead& ahead) const = 0;

 private:
  Sizes sizes_;
};

// From this number of rows of x on, packing weights in rows pays off; below it, Int8Dots is faster.
inline constexpr int64_t kInt8PanelRows = 5;

// Weights are Q8_0 or Q4_0, and in strips or of at least kStripRows rows. Needs CpuHasVnni().
const TileKernel& VnniTiles();

// All products with x in one parallel pass.
void Int8PanelForward(ThreadPool& pool, Memory& memory, const TileKernel& kernel, const Int8Rows& x,
                      std::span<WeightProduct> products);

}  // namespace retort
