// SPDX-License-Identifier: Apache-2.0
// ggml's K blocks and the others of 256 values without a grid (tensor/quant/{q2_k,q3_k,q4_k,q5_k,
// q6_k,q8_k,iq4_xs,tq1_0,tq2_0}.cc, which say where the bits are).
#pragma once

#include "tensor/cuda/decode/small_blocks.h"

namespace retort::cuda {

// Codes of 2 bits (tensor/quant/k_pairs.h): of group g, those of bytes 32 (g / 16) + 8 (g % 4) + j.
struct Pairs {
  Bytes8 bytes;
  int shift;
  __device__ uint32_t operator[](int j) const { return bytes[j / 4] >> (8 * (j % 4) + shift) & 3; }
};
template <class Format, int kPlace>
__device__ inline Pairs PairsOf(Global<const uint8_t> block, int group) {
  Pairs pairs;
  ReadEight<Format, kPlace>(block, 32 * (group / 16) + 8 * (group % 4), pairs.bytes);
  pairs.shift = 2 * (group % 16 / 4);
  return pairs;
}

struct Q2K {
  static constexpr int kElements = 256, kBytes = 84;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const uint32_t packed = ReadByte(block + group / 2);
    const float scale = Times(ReadF16<Q2K, 80>(block), AsFloat(packed & 15));
    const float minimum = Times(ReadF16<Q2K, 82>(block), AsFloat(packed >> 4));
    const Pairs q = PairsOf<Q2K, 16>(block, group);
    for (int j = 0; j < 8; ++j) out[j] = Plus(Times(AsFloat(q[j]), scale), -minimum);
  }
};

struct Q3K {
  static constexpr int kElements = 256, kBytes = 110;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const int of16 = group / 2;
    const uint32_t low = ReadByte(block + 96 + of16 % 8) >> (of16 < 8 ? 0 : 4) & 15;
    const uint32_t high = ReadByte(block + 104 + of16 % 4) >> (2 * (of16 / 4)) & 3;
    const int scale_code = static_cast<int>(low | high << 4) - 32;
    const float scale = Times(ReadF16<Q3K, 108>(block), AsFloat(scale_code));
    const Pairs q = PairsOf<Q3K, 32>(block, group);
    Bytes8 thirds;
    ReadEight<Q3K, 0>(block, 8 * (group % 4), thirds);
    for (int j = 0; j < 8; ++j) {
      const uint32_t third = ByteOf(thirds, j) >> (group / 4) & 1;
      out[j] = Times(AsFloat(static_cast<int>(q[j] | third << 2) - 4), scale);
    }
  }
};

// Scale and minimum, times d and dmin, of group 0 to 7 of 32 values: six bits each, packed in 12
// bytes at place 4 (tensor/quant/k_minimum.h); d and dmin are at place 0.
struct ScaleAndMinimum {
  float scale, minimum;
};
template <class Format>
__device__ inline ScaleAndMinimum KScaleOf(Global<const uint8_t> block, int group) {
  const Global<const uint8_t> packed = block + 4;
  uint32_t scale, minimum;
  if (group < 4) {
    scale = ReadByte(packed + group) & 63;
    minimum = ReadByte(packed + group + 4) & 63;
  } else {
    const uint32_t low = ReadByte(packed + group + 4);
    scale = (low & 15) | ReadByte(packed + group - 4) >> 6 << 4;
    minimum = low >> 4 | ReadByte(packed + group) >> 6 << 4;
  }
  return {Times(ReadF16<Format, 0>(block), AsFloat(scale)),
          Times(ReadF16<Format, 2>(block), AsFloat(minimum))};
}
// The low four bits of the values of a group of eight, 32 bytes for 64 values.
template <class Format, int kPlace>
__device__ inline Nibbles NibblesOf64(Global<const uint8_t> block, int group) {
  Nibbles nibbles;
  ReadEight<Format, kPlace>(block, 32 * (group / 8) + 8 * (group % 4), nibbles.bytes);
  nibbles.shift = 4 * (group / 4 % 2);
  return nibbles;
}

struct Q4K {
  static constexpr int kElements = 256, kBytes = 144;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const ScaleAndMinimum of = KScaleOf<Q4K>(block, group / 4);
    const Nibbles q = NibblesOf64<Q4K, 16>(block, group);
    for (int j = 0; j < 8; ++j) out[j] = Plus(Times(AsFloat(q[j]), of.scale), -of.minimum);
  }
};

struct Q5K {
  static constexpr int kElements = 256, kBytes = 176;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const ScaleAndMinimum of = KScaleOf<Q5K>(block, group / 4);
    const Nibbles q = NibblesOf64<Q5K, 48>(block, group);
    Bytes8 fifths;
    ReadEight<Q5K, 16>(block, 8 * (group % 4), fifths);
    for (int j = 0; j < 8; ++j) {
      const uint32_t fifth = ByteOf(fifths, j) >> (group / 4) & 1;
      out[j] = Plus(Times(AsFloat(q[j] | fifth << 4), of.scale), -of.minimum);
    }
  }
};

struct Q6K {
  static constexpr int kElements = 256, kBytes = 210;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const auto scale_code = static_cast<int8_t>(ReadByte(block + 192 + group / 2));
    const float scale = Times(ReadF16<Q6K, 208>(block), AsFloat(int{scale_code}));
    const int half = group / 16, of32 = group % 16 / 4;
    Nibbles low;
    ReadEight<Q6K, 0>(block, 64 * half + 8 * (group % 8), low.bytes);
    low.shift = 4 * (of32 / 2);
    Bytes8 high;
    ReadEight<Q6K, 128>(block, 32 * half + 8 * (group % 4), high);
    for (int j = 0; j < 8; ++j) {
      const uint32_t upper = ByteOf(high, j) >> (2 * of32) & 3;
      out[j] = Times(AsFloat(static_cast<int>(low[j] | upper << 4) - 32), scale);
    }
  }
};

struct Q8K {
  static constexpr int kElements = 256, kBytes = 292;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const float d = FloatOf(ReadFour<Q8K, 0>(block));
    Bytes8 q;
    ReadEight<Q8K, 4>(block, 8 * group, q);
    for (int j = 0; j < 8; ++j) out[j] = Times(AsFloat(SignedByteOf(q, j)), d);
  }
};

struct Iq4Xs {
  static constexpr int kElements = 256, kBytes = 136;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const int of32 = group / 4;
    const uint32_t low = ReadByte(block + 4 + of32 / 2) >> (4 * (of32 % 2)) & 15;
    const uint32_t high = ReadHalf<2>(block + 2) >> (2 * of32) & 3;
    const int scale_code = static_cast<int>(low | high << 4) - 32;
    const float scale = Times(ReadF16<Iq4Xs, 0>(block), AsFloat(scale_code));
    const Nibbles q = NibblesOf32<Iq4Xs, 8>(block, group % 4, 16 * of32);
    for (int j = 0; j < 8; ++j) out[j] = Times(kIq4Table[q[j]], scale);
  }
};

// Five ternary digits to a byte.
struct Tq1 {
  static constexpr int kElements = 256, kBytes = 54;
  static constexpr uint64_t kPowers = 0x511b090301;  // 81, 27, 9, 3, 1
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const float d = ReadF16<Tq1, 52>(block);
    for (int j = 0; j < 8; ++j) {
      const int value = 8 * group + j, rest = value - 160, last = value - 240;
      const int digit = rest < 0 ? value / 32 : last < 0 ? rest / 16 : last / 4;
      const int at = rest < 0 ? value % 32 : last < 0 ? 32 + rest % 16 : 48 + last % 4;
      const auto power = static_cast<uint32_t>(kPowers >> (8 * digit) & 255);
      const uint32_t fraction = ReadByte(block + at) * power & 255;
      out[j] = Times(AsFloat(static_cast<int>(fraction * 3 >> 8) - 1), d);
    }
  }
};

struct Tq2 {
  static constexpr int kElements = 256, kBytes = 66;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const float d = ReadF16<Tq2, 64>(block);
    const Pairs q = PairsOf<Tq2, 0>(block, group);
    for (int j = 0; j < 8; ++j) out[j] = Times(AsFloat(static_cast<int>(q[j]) - 1), d);
  }
};

}  // namespace retort::cuda
