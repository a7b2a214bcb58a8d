// SPDX-License-Identifier: Apache-2.0
// Weights of Q8_0 and Q4_0 in strips of 32 rows (WeightLayout::kStrips): one block of every row,
// then the next one of every row, each such slice as a StripBlock. A product whose outputs lie
// along its vectors reads a strip from end to end as it lies. Rows that the last strip lacks are
// zeros. A whole number of strips takes the same bytes as its rows.
#pragma once

#include "base/threads.h"
#include "tensor/quant/blocks.h"
#include "tensor/weight.h"

namespace retort {

inline constexpr int64_t kStripRows = 32;

// q[k][r] are four values of row r: Q8_0's 4k ... 4k + 3, raised by 128, as products of bytes want
// one factor unsigned; Q4_0's bytes 4k ... 4k + 3, whose nibbles are raised by 8 as they are.
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

// A weight that HasStrips and lies in rows, in strips, in `memory`.
Weight InStrips(const Weight& w, Memory& memory, ThreadPool& pool);

// The strip that begins at `row`: one StripBlock for each block of a row. StripBlock is the one of
// w's format.
template <class StripBlock>
const StripBlock* StripAt(const Weight& w, int64_t row) {
  return reinterpret_cast<const StripBlock*>(w.bytes().data()) +
         row / kStripRows * (w.cols() / kBlockValues);
}

// Block `b` of row `row` of a weight in strips, as rows have it: a BlockQ8_0 or BlockQ4_0.
template <class Block>
Block BlockOf(const Weight& w, int64_t row, int64_t b);

// BlockFormat::decode of a weight in strips. Slow: products read strips as they lie.
void DecodeStrips(Isa isa, const Weight& w, int64_t first, int64_t blocks, float* out);

}  // namespace retort
