// SPDX-License-Identifier: Apache-2.0
// NF4's own pieces, for quant/ alone: block maxima and codes.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/weight.h"

namespace retort {

// Encodes `values` (whole blocks of 64 and perhaps a short last one): one maximum of magnitudes a
// block, and two values a byte, the first in the high half. A block of zeros has code 7 (zero)
// throughout. A value's code is the number of midpoints between neighbouring codes that lie
// strictly below value / maximum.
void EncodeNf4(std::span<const float> values, std::byte* codes, float* absmax);

// Block maxima to 8-bit codes of the dynamic map, in blocks of 256, around their mean.
Nf4Scales DoubleQuantised(std::span<const float> absmax, Memory& memory);

// The maxima of blocks [first, first + out.size()).
void ScalesOf(const Nf4Scales& scales, int64_t first, std::span<float> out);

}  // namespace retort
