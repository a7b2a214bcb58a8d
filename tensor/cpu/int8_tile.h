// SPDX-License-Identifier: Apache-2.0
// The inside of int8 products with many rows, on AVX-512 VNNI: a strip of kInt8Cols weight rows is
// packed so that outputs lie along the vectors, and multiplied with tiles of activation rows.
#pragma once

#include "tensor/cpu/int8_dots.h"

namespace retort {

inline constexpr int64_t kInt8Cols = 32;
inline constexpr int64_t kInt8TileRows = 6;  // with 32 outputs: as many sums as registers hold

// Some blocks of kInt8Cols weight rows. Bytes are values + 128, as the byte products want their
// first factor unsigned: value k of row n of a block lies at (k / 4 * kInt8Cols + n) * 4 + k % 4.
struct PackedInt8 {
  std::byte* bytes;  // [blocks, 8, kInt8Cols, 4]
  float* scales;     // [blocks, kInt8Cols]
  uint16_t* halves;  // [blocks, kInt8Cols] work space
};
inline constexpr int64_t kPackedBlockBytes = kInt8Cols * (kBlockValues + 4 + 2);

// Packs blocks [first, first + blocks) of w's rows [row, row + kInt8Cols), all of which exist.
void PackInt8(const Weight& w, int64_t row, int64_t first, int64_t blocks, const PackedInt8& out);

// Rows of a tile, block by block: eight times four bytes of each row in turn, then the rows' scales
// and their offsets (Int8Row).
constexpr int64_t TileBytes(int64_t rows, int64_t blocks) {
  return rows * blocks * (kBlockValues + 8);
}
void InterleaveInt8(const Int8Row* x, int64_t rows, int64_t blocks, std::byte* tile);

// What a product asks for ahead while it multiplies: `lines` cache lines a block, until `end`.
struct Ahead {
  const std::byte *at, *end;
  int64_t lines;
};

// sums [rows,kInt8Cols] (+)= the products of a tile's rows with packed weights, block after block.
// `tile` is at the first of the blocks.
void MultiplyInt8(const std::byte* tile, int64_t rows, const PackedInt8& w, int64_t blocks,
                  bool add, float* sums, Ahead& ahead);

}  // namespace retort
