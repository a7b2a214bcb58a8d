// SPDX-License-Identifier: Apache-2.0
// NF4's block maxima. Internal to the files of NF4.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/weight.h"

namespace retort {

inline constexpr int64_t kNf4BlockValues = 64;
inline constexpr int64_t kNf4BlockBytes = 32;

// Quantises block maxima to 8-bit codes of the dynamic map, in blocks of 256, after subtracting
// their mean.
Nf4Scales DoubleQuantised(std::span<const float> absmax, Memory& memory);

// The maxima of blocks [first, first + out.size()).
void ScalesOf(const Nf4Scales& scales, int64_t first, std::span<float> out);

}  // namespace retort
