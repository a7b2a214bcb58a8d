// SPDX-License-Identifier: Apache-2.0
// Products of block-quantised weights with int8 rows, on AVX-512 VNNI, a strip of weight rows at a
// time: strips are read as they lie, rows are packed as they are needed.
#pragma once

#include <span>

#include "base/threads.h"
#include "tensor/cpu/int8_rows.h"
#include "tensor/cpu/products.h"

namespace retort {

// From so many rows on, packing weights that lie in rows pays; fewer take tensor/cpu/int8_dots.h.
inline constexpr int64_t kInt8PanelRows = 5;

// All products with x in one round; weights are Q8_0 or Q4_0, in strips or of at least kStripRows
// rows. Needs CpuHasVnni().
void Int8PanelForward(ThreadPool& pool, Memory& memory, const Int8Rows& x,
                      std::span<WeightProduct> products);

}  // namespace retort
