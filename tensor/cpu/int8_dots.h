// SPDX-License-Identifier: Apache-2.0
// Block-quantised weights times a few int8 rows, each weight row read once, without repacking:
// y = sum over blocks of (d_w d_x) times an exact int32 dot product.
#pragma once

#include <cstring>

#include "tensor/cpu/simd.h"
#include "tensor/quant/blocks.h"
#include "tensor/weight.h"

namespace retort {

// One row of activations, quantised in blocks of 32. All arrays are padded with zeros to a multiple
// of kInt8PaddedBlocks blocks.
struct Int8Row {
  const int8_t* q;        // [cols], within -127 ... 127
  const float* d;         // [cols / 32]
  const int32_t* offset;  // [cols / 32] -128 times the sum of a block's q
};
inline constexpr int64_t kInt8PaddedBlocks = 8;
inline constexpr int64_t kInt8DotRows = 4;

bool CpuHasVnni();

// y[t * stride + o - begin] = x[t] . weight row o, for o in [begin, end) and t < rows;
// rows <= kInt8DotRows. w is Q8_0 or Q4_0. Slow for weights in strips; those have MultiplyStrip.
void Int8Dots(Isa isa, const Weight& w, int64_t begin, int64_t end, const Int8Row* x, int64_t rows,
              float* y, int64_t stride);

// A block's 32 values as signed bytes.
inline void ExpandBlock(const BlockQ8_0& block, int8_t* q) { std::memcpy(q, block.q, 32); }
inline void ExpandBlock(const BlockQ4_0& block, int8_t* q) {
  for (int i = 0; i < 16; ++i) {
    q[i] = static_cast<int8_t>((block.q[i] & 15) - 8);
    q[i + 16] = static_cast<int8_t>((block.q[i] >> 4) - 8);
  }
}

}  // namespace retort
