// SPDX-License-Identifier: Apache-2.0
// Products of block-quantised weights with many int8 rows, on AVX-512 VNNI: panels of weights are
// packed first. Few rows take tensor/cpu/int8_dots.h.
#pragma once

#include <span>

#include "base/threads.h"
#include "tensor/cpu/int8_dots.h"

namespace retort {

// From so many rows on, packing a panel of weights pays.
inline constexpr int64_t kInt8PanelRows = 12;

// y [rows,w.rows()] = x w^T; w is Q8_0 or Q4_0. Needs CpuHasVnni().
void Int8PanelForward(ThreadPool& pool, Memory& memory, Isa isa, std::span<const Int8Row> x,
                      const Weight& w, float* y);

}  // namespace retort
