// SPDX-License-Identifier: Apache-2.0
// Products of block-quantised weights with many int8 rows, on AVX-512 VNNI.
#pragma once

#include <cstring>
#include <span>

#include "base/threads.h"
#include "tensor/cpu/simd.h"
#include "tensor/quant/blocks.h"
#include "tensor/weight.h"

namespace retort {

// One row of activations, quantised in blocks of 32.
struct Int8Row {
  const int8_t* q;        // [cols], within -127 ... 127
  const float* d;         // [cols / 32]
  const int32_t* offset;  // [cols / 32] -128 times the sum of a block's q
};

bool CpuHasVnni();

// From so many rows on, packing a panel of weights pays.
inline constexpr int64_t kInt8PanelRows = 12;

// y [rows,w.rows()] = x w^T; w is Q8_0 or Q4_0. Needs CpuHasVnni().
void Int8PanelForward(ThreadPool& pool, Memory& memory, Isa isa, std::span<const Int8Row> x,
                      const Weight& w, float* y);

// A block's 32 values as signed bytes.
inline void ExpandBlock(const BlockQ8_0& block, int8_t* q) { std::memcpy(q, block.q, 32); }
inline void ExpandBlock(const BlockQ4_0& block, int8_t* q) {
  for (int i = 0; i < 16; ++i) {
    q[i] = static_cast<int8_t>((block.q[i] & 15) - 8);
    q[i + 16] = static_cast<int8_t>((block.q[i] >> 4) - 8);
  }
}

}  // namespace retort
