// SPDX-License-Identifier: Apache-2.0
// What ggml's IQ1, IQ2 and IQ3 formats share: the points that groups of values may have, and signs.
// The points are part of the formats' definition; their source is ggml-common.h.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "tensor/quant/fit.h"
#include "tensor/quant/super_blocks.h"

namespace retort {

// Magnitudes of eight values, the first in the lowest byte: each 8, 25 or 43.
extern const std::array<uint64_t, 256> kIq2XxsGrid;
extern const std::array<uint64_t, 512> kIq2XsGrid;
extern const std::array<uint64_t, 1024> kIq2SGrid;
// Of four values: 4, 12, 20, 28, 36, 44, 52 or 62; and odd numbers up to 15.
extern const std::array<uint32_t, 256> kIq3XxsGrid;
extern const std::array<uint32_t, 512> kIq3SGrid;
// Eight values -1, 0 or 1 as 8, 16 or 24.
extern const std::array<uint64_t, 2048> kIq1Grid;

// Eight signs from seven bits: the number of negative values is even.
RETORT_INLINE uint8_t EvenSigns(uint32_t bits) {
  bits &= 127;
  return static_cast<uint8_t>(bits | (std::popcount(bits) & 1) << 7);
}

// The values of bytes 1 to 127, negative where the bit of `signs` is set. A bit is spread to its
// byte as in FifthBits; a byte is negated as its complement plus 1, which does not carry.
RETORT_INLINE uint64_t WithSigns(uint64_t magnitudes, uint8_t signs) {
  const uint64_t ones = FifthBits(signs) >> 4;
  return (magnitudes ^ ones * 255) + ones;
}

// The codes of a point, in eighths; `negative`: an eighth is taken away, else it is added.
RETORT_INLINE uint64_t Iq1Codes(size_t point, bool negative) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  const uint64_t eighths = negative ? kIq1Grid[point] - kOnes : kIq1Grid[point] + kOnes;
  // Less 16 in each byte: bit 7 is set, so that no byte borrows, and flipped back.
  return ((eighths | kOnes << 7) - (kOnes << 4)) ^ kOnes << 7;
}

// Decodes a quarter of a block: 64 codes of one signed byte, scale[k] for 16 of them. `unit`: of
// the codes, a power of two.
template <int W>
RETORT_INLINE void DecodeSigned(const uint64_t* codes, const float* scale, float unit, float* out) {
  const auto* bytes = reinterpret_cast<const std::byte*>(codes);
  for (int i = 0; i < 64; i += W) {
    const auto q = WidenedSigned<W>(LoadAs<SignedChars<W>>(bytes + i));
    Store<W>(out + i, AsFloats<W>(q) * unit * scale[i / 16]);
  }
}

// The scales d * (bits + 1/2) / 4 of a quarter's four groups of 16, four bits each, the first of
// two in a byte's low half.
RETORT_INLINE void HalfByteScales(float d, const uint8_t* scales, int quarter, float* out) {
  for (int k = 0; k < 4; ++k) {
    const int bits = scales[2 * quarter + k / 2] >> (4 * (k % 2)) & 15;
    out[k] = d * (0.5f + static_cast<float>(bits)) * 0.25f;
  }
}

}  // namespace retort
