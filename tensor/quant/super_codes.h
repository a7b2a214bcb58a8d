// SPDX-License-Identifier: Apache-2.0
// Blocks of 256 values as small integers with scales, the same for every format.
#pragma once

#include <cstdint>

namespace retort {

// Value i is scale[i / 16] * code[i] - minimum[i / 16]. Codes have BlockFormat::code_bits, at most
// 6; or 8, in which case they are integers + 128, and minima 128 times the scales.
struct SuperCodes {
  alignas(64) uint8_t code[256];
  alignas(64) float scale[16];
  float minimum[16];
};

}  // namespace retort
