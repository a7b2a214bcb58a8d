// SPDX-License-Identifier: Apache-2.0
// ggml's IQ1, IQ2 and IQ3 blocks (tensor/quant/iq*.cc, which say where the bits are): a group of
// eight values is one or two points of a grid, with signs.
#pragma once

#include "tensor/cuda/decode/bytes.h"
#include "tensor/cuda/decode/grids.h"

namespace retort::cuda {

// Eight magnitudes of a point, or of two points of four, negative where a bit of `signs` is set.
__device__ inline void WriteSigned(uint64_t magnitudes, uint32_t signs, float scale, Eight& out) {
  for (int j = 0; j < 8; ++j) {
    const auto magnitude = static_cast<int>(magnitudes >> (8 * j) & 255);
    out[j] = Times(AsFloat((signs >> j & 1) != 0 ? -magnitude : magnitude), scale);
  }
}
// Eight signs from seven bits: the number of negative values is even.
__device__ inline uint32_t EvenSignsOf(uint32_t bits) {
  bits &= 127;
  return bits | static_cast<uint32_t>(CountBits(bits) & 1) << 7;
}
// d * (code + 1/2) / parts, the latter a power of two.
__device__ inline float HalfScale(float d, uint32_t code, float of_parts) {
  return Times(Times(d, 0.5f + AsFloat(code)), of_parts);
}

struct Iq2Xxs {
  static constexpr int kElements = 256, kBytes = 66;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const Global<const uint8_t> of32 = block + 2 + 8 * (group / 4);
    const uint32_t bits = ReadWord<2>(of32 + 4);
    const uint64_t point = kIq2XxsPoints[ReadByte(of32 + group % 4)];
    const float scale = HalfScale(ReadF16<Iq2Xxs, 0>(block), bits >> 28, 0.25f);
    WriteSigned(point, EvenSignsOf(bits >> (7 * (group % 4))), scale, out);
  }
};

// The scale code of a group of eight where a byte holds those of two groups of 16.
__device__ inline uint32_t HalfByteOf(Global<const uint8_t> scales, int group) {
  return ReadByte(scales + group / 4) >> (4 * (group / 2 % 2)) & 15;
}

struct Iq2Xs {
  static constexpr int kElements = 256, kBytes = 74;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const uint32_t q = ReadHalf<2>(block + 2 + 2 * group);
    const float scale = HalfScale(ReadF16<Iq2Xs, 0>(block), HalfByteOf(block + 66, group), 0.25f);
    WriteSigned(kIq2XsPoints[q & 511], EvenSignsOf(q >> 9), scale, out);
  }
};

struct Iq2S {
  static constexpr int kElements = 256, kBytes = 82;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const uint32_t high = ReadByte(block + 66 + group / 4) >> (2 * (group % 4)) & 3;
    const uint32_t point = ReadByte(block + 2 + group) | high << 8;
    const float scale = HalfScale(ReadF16<Iq2S, 0>(block), HalfByteOf(block + 74, group), 0.25f);
    WriteSigned(kIq2SPoints[point], ReadByte(block + 34 + group), scale, out);
  }
};

struct Iq3Xxs {
  static constexpr int kElements = 256, kBytes = 98;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const uint32_t bits = ReadWord<2>(block + 66 + 4 * (group / 4));
    const uint32_t points = ReadHalf<2>(block + 2 + 2 * group);
    const uint64_t low = kIq3XxsPoints[points & 255], high = kIq3XxsPoints[points >> 8];
    const float scale = HalfScale(ReadF16<Iq3Xxs, 0>(block), bits >> 28, 0.5f);
    WriteSigned(low | high << 32, EvenSignsOf(bits >> (7 * (group % 4))), scale, out);
  }
};

struct Iq3S {
  static constexpr int kElements = 256, kBytes = 110;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const uint32_t ninths = ReadByte(block + 66 + group / 4) >> (2 * (group % 4));
    const uint32_t points = ReadHalf<2>(block + 2 + 2 * group);
    const uint64_t low = kIq3SPoints[(points & 255) | (ninths & 1) << 8];
    const uint64_t high = kIq3SPoints[points >> 8 | (ninths & 2) << 7];
    const uint32_t code = ReadByte(block + 106 + group / 8) >> (4 * (group / 4 % 2)) & 15;
    const float scale = Times(ReadF16<Iq3S, 0>(block), AsFloat(2 * code + 1));
    WriteSigned(low | high << 32, ReadByte(block + 74 + group), scale, out);
  }
};

// Eight values -1, 0 or 1, each with an eighth added or, if `negative`, taken away.
__device__ inline void WriteEighths(uint32_t point, bool negative, float scale, Eight& out) {
  const uint64_t levels = kIq1Points[point];
  for (int j = 0; j < 8; ++j) {
    const int eighths = static_cast<int>(levels >> (8 * j) & 255) - 16 + (negative ? -1 : 1);
    out[j] = Times(Times(AsFloat(eighths), 0.125f), scale);
  }
}

struct Iq1S {
  static constexpr int kElements = 256, kBytes = 50;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const uint32_t bits = ReadHalf<2>(block + 34 + 2 * (group / 4));
    const uint32_t high = bits >> (3 * (group % 4)) & 7;
    const float scale = Times(ReadF16<Iq1S, 0>(block), AsFloat(2 * (bits >> 12 & 7) + 1));
    WriteEighths(ReadByte(block + 2 + group) | high << 8, (bits & 0x8000) != 0, scale, out);
  }
};

struct Iq1M {
  static constexpr int kElements = 256, kBytes = 56;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    // The highest four bits of each number of 16 are four bits of d.
    const uint32_t a = ReadFour<Iq1M, 48>(block), b = ReadFour<Iq1M, 48>(block, 4);
    const uint32_t d_bits =
        (a >> 12 & 0xf) | (a >> 24 & 0xf0) | (b >> 4 & 0xf00) | (b >> 16 & 0xf000);
    const float d = Widen(F16{static_cast<uint16_t>(d_bits)});
    const uint32_t number = (group < 16 ? a : b) >> (16 * (group / 8 % 2));
    const uint32_t code = number >> (3 * (group / 2 % 4)) & 7;
    const uint32_t high = ReadByte(block + 32 + group / 2) >> (4 * (group % 2));
    const uint32_t point = ReadByte(block + group) | (high & 7) << 8;
    WriteEighths(point, (high & 8) != 0, Times(d, AsFloat(2 * code + 1)), out);
  }
};

}  // namespace retort::cuda
