// SPDX-License-Identifier: Apache-2.0
// The block formats that have products with 8-bit activations (Q8_0 and Q4_0), and the conversion
// of block scales.
#pragma once

#include <bit>
#include <cstdint>

#include "tensor/dtype.h"

namespace retort {

inline constexpr int64_t kBlockValues = 32;  // of both

struct BlockQ8_0 {
  F16 d;
  int8_t q[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

// The low four bits of q[i] are value i, the high four value i + 16.
struct BlockQ4_0 {
  F16 d;
  uint8_t q[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

// ToFloat(F16) without branches, for inlining into kernels. No step produces a subnormal float from
// a subnormal half: those take a hundred times as long on some processors.
[[gnu::always_inline]] inline float ScaleOf(F16 d) {
  const uint32_t magnitude = uint32_t{d.bits & 0x7fffu} << 13, sign = uint32_t{d.bits} >> 15 << 31;
  // Subnormal half with fraction f: 2^-14 (1 + f) - 2^-14.
  const float small = std::bit_cast<float>(magnitude + 0x38800000) - 0x1p-14f;
  const uint32_t finite =
      magnitude < 1 << 23 ? std::bit_cast<uint32_t>(small) : magnitude + (112 << 23);
  const uint32_t value = magnitude >= 31 << 23 ? magnitude | 0x7f800000 : finite;
  return std::bit_cast<float>(value | sign);
}

}  // namespace retort
