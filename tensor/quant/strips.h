// SPDX-License-Identifier: Apache-2.0
// Weights of Q8_0 and Q4_0 in strips of 32 rows (WeightLayout::kStrips). A strip holds the first
// block of each of its rows, then the second block of each row, and so on; each such slice is a
// StripBlock. A product that has one output per vector lane reads a strip sequentially. The last
// strip is padded with zero rows. A strip takes as many bytes as 32 rows in WeightLayout::kRows.
#pragma once

#include "base/threads.h"
#include "tensor/quant/blocks.h"
#include "tensor/weight.h"

namespace retort {

inline constexpr int64_t kStripRows = 32;

// q[k][r] belongs to row r. Q8_0: values 4k ... 4k + 3, plus 128, because byte product instructions
// need one unsigned factor. Q4_0: bytes 4k ... 4k + 3 of the block, whose nibbles already are
// values + 8.
struct StripBlockQ8_0 {
  uint8_t q[8][kStripRows][4];
  F16 d[kStripRows];
};
struct StripBlockQ4_0 {
  uint8_t q[4][kStripRows][4];
  F16 d[kStripRows];
};
static_assert(sizeof(StripBlockQ8_0) == kStripRows * sizeof(BlockQ8_0));
static_assert(sizeof(StripBlockQ4_0) == kStripRows * sizeof(BlockQ4_0));

inline bool HasStrips(WeightFormat format) { return TraitsOf(format).int8; }
inline int64_t StripCount(int64_t rows) { return (rows + kStripRows - 1) / kStripRows; }
inline int64_t StripBytes(WeightFormat format, int64_t cols) {
  return kStripRows * RowBytes(format, cols);
}

// A copy in strips, allocated from `memory`, of a weight in rows whose format HasStrips.
Weight InStrips(const Weight& w, Memory& memory, ThreadPool& pool);

// The strip that begins at `row`: one StripBlock for each block of a row. StripBlock must be the
// type for w's format.
template <class StripBlock>
const StripBlock* StripAt(const Weight& w, int64_t row) {
  return reinterpret_cast<const StripBlock*>(w.bytes().data()) +
         row / kStripRows * (w.cols() / kBlockValues);
}

// Block `b` of row `row` of a weight in strips, in the layout of rows: a BlockQ8_0 or BlockQ4_0.
template <class Block>
Block BlockOf(const Weight& w, int64_t row, int64_t b);

// BlockFormat::decode for a weight in strips. Slow; products read strips directly.
void DecodeStrips(Isa isa, const Weight& w, int64_t first, int64_t blocks, float* out);

}  // namespace retort
