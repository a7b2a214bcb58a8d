// SPDX-License-Identifier: Apache-2.0
// Products of block-quantised weights with many int8 rows, on AVX-512 VNNI: weights are packed
// strip by strip as they are needed. Few rows take tensor/cpu/int8_dots.h.
#pragma once

#include <span>

#include "base/threads.h"
#include "tensor/backend.h"
#include "tensor/cpu/int8_rows.h"

namespace retort {

// From so many rows on, packing weights pays.
inline constexpr int64_t kInt8PanelRows = 5;

// Whether a weight has the outputs of a strip.
bool FitsInt8Panels(const Weight& w);

// All products with x in one round; weights are Q8_0 or Q4_0 and fit. Needs CpuHasVnni().
void Int8PanelForward(ThreadPool& pool, Memory& memory, const Int8Rows& x,
                      std::span<LinearProduct> products);

}  // namespace retort
