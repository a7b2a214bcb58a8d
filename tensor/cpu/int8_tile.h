// SPDX-License-Identifier: Apache-2.0
// The inside of int8 products whose outputs lie along the vectors: tiles of activation rows times a
// strip of kStripRows weight rows (tensor/quant/strips.h), as it lies in memory or packed.
#pragma once

#include "tensor/cpu/int8_dots.h"
#include "tensor/quant/strips.h"

namespace retort {

inline constexpr int64_t kInt8TileRows = 6;  // with 32 outputs: as many sums as registers hold

// Rows of a tile, block by block: eight times four bytes of each row in turn, then the rows' scales
// and their offsets (Int8Row).
constexpr int64_t TileBytes(int64_t rows, int64_t blocks) {
  return rows * blocks * (kBlockValues + 8);
}
void InterleaveInt8(const Int8Row* x, int64_t rows, int64_t blocks, std::byte* tile);

// Some blocks of a strip for many tiles: bytes are values + 128, as in StripBlockQ8_0, and scales
// are floats.
struct PackedInt8 {
  const std::byte* bytes;  // of each block [8, kStripRows, 4],
  int64_t stride;          // so many bytes apart
  const float* scales;     // [blocks, kStripRows]
};
// What packing needs: [blocks, 8, kStripRows, 4] bytes and the scales.
inline constexpr int64_t kPackedBlockBytes = kStripRows * (kBlockValues + 4);

// Packs blocks [first, first + blocks) of w's rows [row, row + kStripRows) into `room`, 64-byte
// aligned: from a strip, whose quants stay where they are if they are bytes, or from rows, which
// then all must exist.
PackedInt8 PackInt8(const Weight& w, int64_t row, int64_t first, int64_t blocks, std::byte* room);

// What a product asks for ahead while it multiplies: `lines` cache lines a block, until `end`.
struct Ahead {
  const std::byte *at, *end;
  int64_t lines;
};

// out = before + the products of a tile's rows with packed weights, block after block; `tile` is at
// the first of the blocks. before [rows,kStripRows], 64-byte aligned, or null for zeros; out's rows
// are `stride` apart. Needs CpuHasVnni().
void MultiplyInt8(const std::byte* tile, int64_t rows, const PackedInt8& w, int64_t blocks,
                  const float* before, float* out, int64_t stride, Ahead& ahead);
// sums = the products with the whole strip that begins at `row` of w, which is in strips and
// streams from memory.
void MultiplyStrip(const std::byte* tile, int64_t rows, const Weight& w, int64_t row, float* sums);
// y [cols] = sums [parts,kStripRows] from column `first` on, added up.
void WriteSums(const float* sums, int64_t parts, int64_t first, int64_t cols, float* y);

}  // namespace retort
