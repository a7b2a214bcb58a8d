// SPDX-License-Identifier: Apache-2.0
#include "tensor/dynamic_map.h"

#include <algorithm>
#include <cmath>

namespace retort {
namespace {

constexpr int kDecades = 7;

constexpr float kFirst = 0.1f;

// Edge i of `parts` even parts of [0.1, 1]: from the nearer end, rounded once, as by a fused
// multiply-add (in double the sum is exact).
float Edge(int i, int parts) {
  const double step = (1.0f - kFirst) / static_cast<float>(parts);
  return static_cast<float>(i < (parts + 1) / 2 ? kFirst + step * i : 1 - step * (parts - i));
}

// Decade i holds the middles of 2^i parts of [0.1, 1] times 10^(i - 6), twice as many without a
// sign; 0 and 1 complete the 256.
std::array<float, 256> Values(bool with_sign) {
  std::array<float, 256> values{};
  size_t n = 0;
  for (int i = 0; i < kDecades; ++i) {
    const int parts = 1 << (with_sign ? i : i + 1);
    const auto size = static_cast<float>(std::pow(10.0, i - (kDecades - 1)));
    for (int p = 0; p < parts; ++p) {
      const float middle = (Edge(p, parts) + Edge(p + 1, parts)) / 2 * size;
      values[n++] = middle;
      if (with_sign) values[n++] = -middle;
    }
  }
  values[n++] = 0;
  values[n] = 1;
  std::sort(values.begin(), values.end());
  return values;
}

}  // namespace

const std::array<float, 256>& DynamicMap(bool with_sign) {
  static const std::array<float, 256> with = Values(true), without = Values(false);
  return with_sign ? with : without;
}

uint8_t NearestCode(const std::array<float, 256>& map, float x) {
  const auto above = std::lower_bound(map.begin(), map.end(), x);
  if (above == map.begin()) return 0;
  if (above == map.end()) return 255;
  const bool nearer_below = x - *(above - 1) < *above - x;
  return static_cast<uint8_t>(above - map.begin() - (nearer_below ? 1 : 0));
}

uint8_t NearestAboveZero(float x) {
  const uint8_t code = NearestCode(DynamicMap(false), x);
  return x > 0 ? std::max<uint8_t>(1, code) : code;
}

}  // namespace retort
