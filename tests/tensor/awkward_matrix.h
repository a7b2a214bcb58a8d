// SPDX-License-Identifier: Apache-2.0
// A fixed matrix with values that are difficult for a quantiser.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace retort {

inline constexpr int64_t kAwkwardRows = 48, kAwkwardCols = 192;

// SHA-256 of the matrix as little-endian floats, and of what NF4 (plain maxima) makes of it, whole
// and without its last five values, zeros being positive.
inline constexpr std::string_view kAwkwardSha256 =
    "f2af5cb00e21f13b6a5d032583ad58a58af8de78f0b8b959aab15597f662cf1e";
inline constexpr std::string_view kAwkwardNf4Sha256 =
    "db9e94eeffd7eaa1946eb735e626cc0ade43bd217fdb27906ead14a4b8716679";
inline constexpr std::string_view kAwkwardShortNf4Sha256 =
    "b4e555aae08e78c6de23cbb6a2d70d98dafe133b606243c5471ac37b0635dc09";

// Rows in turn: plain; zeros of both signs; exact ties of rounding; equal magnitudes of both
// signs; an outlier, negative; tiny (scales below half precision); huge (scales near the largest
// of half precision); subnormal.
inline std::vector<float> AwkwardMatrix() {
  RandomStream random(MakeKey(7, RandomUse::kData));
  std::vector<float> values;
  for (int64_t r = 0; r < kAwkwardRows; ++r) {
    for (int64_t c = 0; c < kAwkwardCols; ++c) {
      // A sum of uniform numbers: no library function whose last bit may differ.
      double sum = 0;
      for (int i = 0; i < 3; ++i) sum += random.Uniform();
      const float v = static_cast<float>(sum - 1.5);
      const auto small = static_cast<int>(random.Below(255)) - 127;
      switch (r % 8) {
        case 0:
          values.push_back(v * 0.05f);
          break;
        case 1:
          values.push_back(c % 3 ? 0.0f : -0.0f);
          break;
        case 2:
          values.push_back(c % 32 == 5 ? 127.0f : static_cast<float>(small) / 2);
          break;
        case 3:
          values.push_back(small % 2 ? 0.75f : -0.75f);
          break;
        case 4:
          values.push_back(c % 32 == 17 ? -9.0f : v);
          break;
        case 5:
          values.push_back(v * 1e-6f);
          break;
        case 6:
          values.push_back(v * 3e5f);
          break;
        default:
          values.push_back(v * 1e-39f);
          break;
      }
    }
  }
  return values;
}

// Blocks of 32 whose bytes can be checked by hand: zeros of both signs, positive first and negative
// first; a constant, positive and negative; exact ties of rounding to 4 bits; equal magnitudes of
// both signs, which take 5 bits; a ramp from below zero to above; and values whose scale is below
// half precision.
inline std::vector<float> SpecialBlocks() {
  std::vector<float> values;
  for (int block = 0; block < 8; ++block) {
    for (int i = 0; i < 32; ++i) {
      const auto at = static_cast<float>(i);
      switch (block) {
        case 0:
          values.push_back(i % 2 ? -0.0f : 0.0f);
          break;
        case 1:
          values.push_back(i % 2 ? 0.0f : -0.0f);
          break;
        case 2:
          values.push_back(0.3f);
          break;
        case 3:
          values.push_back(-1.5f);
          break;
        case 4:
          values.push_back(i < 31 ? at / 2 : 15.0f);
          break;
        case 5:
          values.push_back(i % 3 ? (i % 2 ? 16.0f : -16.0f) : at / 2 - 8);
          break;
        case 6:
          values.push_back((at - 9) / 64);
          break;
        default:
          values.push_back((at - 20) * 1e-39f);
          break;
      }
    }
  }
  return values;
}

}  // namespace retort
