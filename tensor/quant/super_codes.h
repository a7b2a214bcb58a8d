// SPDX-License-Identifier: Apache-2.0
// Blocks of 256 values as small integers with scales, the same for every format.
#pragma once

#include <cstdint>

namespace retort {

// Value i is scale[i / 16] * code[i] - minimum[i / 32].
struct SuperCodes {
  alignas(64) int8_t code[256];
  float scale[16];
  float minimum[8];
};

}  // namespace retort
