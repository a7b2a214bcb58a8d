// SPDX-License-Identifier: Apache-2.0
// The 256 values of the dynamic tree data type (arXiv 2110.02861), between -1 and 1, or 0 and 1
// without sign: seven decades, each divided evenly, the higher the finer. bitsandbytes'
// create_dynamic_map gives the same.
#pragma once

#include <array>
#include <cstdint>

namespace retort {

inline constexpr int64_t kByteBlock = 256;  // values that share a scale

// Rising.
const std::array<float, 256>& DynamicMap(bool with_sign);
// The code of the nearest value, of two equally near the larger. x in [-1, 1].
uint8_t NearestCode(const std::array<float, 256>& map, float x);
// As NearestCode with the map without sign, but only 0 becomes 0: a second moment of 0 beside a
// first one that is not would make a step of any size.
uint8_t NearestAboveZero(float x);

}  // namespace retort
