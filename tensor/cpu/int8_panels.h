// SPDX-License-Identifier: Apache-2.0
// Products of block-quantised weights with int8 rows, on AVX-512 VNNI, a strip of weight rows at a
// time. Weights in strips are read in place; weights in rows are packed strip by strip.
#pragma once

#include <span>

#include "base/threads.h"
#include "tensor/cpu/int8_rows.h"
#include "tensor/cpu/products.h"

namespace retort {

// From this number of rows of x on, packing weights in rows pays off; below it, Int8Dots is faster.
inline constexpr int64_t kInt8PanelRows = 5;

// All products with x in one parallel pass. Weights are Q8_0 or Q4_0, and in strips or of at least
// kStripRows rows. Needs CpuHasVnni().
void Int8PanelForward(ThreadPool& pool, Memory& memory, const Int8Rows& x,
                      std::span<WeightProduct> products);

}  // namespace retort
