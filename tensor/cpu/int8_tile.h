// SPDX-License-Identifier: Apache-2.0
// The inner kernel of int8 products with one output per vector lane: tiles of activation rows times
// a strip of kStripRows weight rows (tensor/quant/strips.h), in place or packed.
#pragma once

#include <type_traits>

#include "tensor/cpu/fetch.h"
#include "tensor/cpu/int8_dots.h"
#include "tensor/quant/strips.h"

namespace retort {

inline constexpr int64_t kInt8TileRows = 6;  // times 32 outputs: the sums that fit in registers

// The rows of a tile, interleaved block by block: [8, rows, 4] bytes, then the rows' scales, then
// their offsets (Int8Row).
constexpr int64_t TileBytes(int64_t rows, int64_t blocks) {
  return rows * blocks * (kBlockValues + 8);
}
void InterleaveInt8(const Int8Row* x, int64_t rows, int64_t blocks, std::byte* tile);

// Blocks of a strip, packed for use with many tiles: bytes are values + 128, as in StripBlockQ8_0,
// and scales are floats; or both are as CodeTiles (int8_codes.h) lays them out.
struct PackedInt8 {
  const std::byte* bytes;               // of each block [8, kStripRows, 4]
  int64_t stride;                       // bytes from one block to the next
  const float* scales;                  // [blocks, kStripRows]
  const BlockFormat* format = nullptr;  // of CodeTiles
};
// The space for packing one block: [8, kStripRows, 4] bytes and the scales.
inline constexpr int64_t kPackedBlockBytes = kStripRows * (kBlockValues + 4);

// Packs blocks [first, first + blocks) of w's rows [row, row + kStripRows) into `room`, 64-byte
// aligned. If w is in strips, the bytes of Q8_0 are used in place. If w is in rows, all kStripRows
// rows must exist.
PackedInt8 PackInt8(const Weight& w, int64_t row, int64_t first, int64_t blocks, std::byte* room);

// Memory to prefetch during a product: `lines` cache lines per block, up to `end`. The last lines
// may be beyond it.
struct Ahead {
  Address at = 0, end = 0;
  int64_t lines = 0;

  [[gnu::always_inline]] void FetchBlock() {
    if (at >= end) return;
    for (int64_t line = 0; line < lines; ++line, at += 64)
      __builtin_prefetch(reinterpret_cast<const void*>(at), 0, 2);
  }
};

// Calls body(rows as a compile-time constant).
template <class Body>
void WithRows(int64_t rows, const Body& body) {
  switch (rows) {
    case 1:
      return body(std::integral_constant<int, 1>());
    case 2:
      return body(std::integral_constant<int, 2>());
    case 3:
      return body(std::integral_constant<int, 3>());
    case 4:
      return body(std::integral_constant<int, 4>());
    case 5:
      return body(std::integral_constant<int, 5>());
    case 6:
      return body(std::integral_constant<int, 6>());
  }
  RETORT_CHECK(false, rows, " rows of a tile");
}

// out = before + the products of a tile's rows with packed weights, summed block by block; `tile`
// points to the first of the blocks. before [rows,kStripRows], 64-byte aligned, or null for zeros;
// out's rows are `stride` apart. Needs CpuHasVnni().
void MultiplyInt8(const std::byte* tile, int64_t rows, const PackedInt8& w, int64_t blocks,
                  const float* before, float* out, int64_t stride, Ahead& ahead);
// sums [rows,kStripRows] = the products with the whole strip that begins at `row` of w, which is in
// strips and is prefetched as a stream.
void MultiplyStrip(const std::byte* tile, int64_t rows, const Weight& w, int64_t row, float* sums);
// y [cols] = the sum over the parts of sums [parts,kStripRows], columns [first, first + cols).
void WriteSums(const float* sums, int64_t parts, int64_t first, int64_t cols, float* y);

}  // namespace retort
