// SPDX-License-Identifier: Apache-2.0
// Formats with blocks of 32 values (tensor/quant/{q8_0,q4_0,q4_1,q5_0,q5_1,iq4_nl,mxfp4}.cc). All
// but Q8_0 hold four bits of value i in the low and of value i + 16 in the high half of byte i.
#pragma once

#include "tensor/cuda/decode/bytes.h"
#include "tensor/cuda/decode/grids.h"

namespace retort::cuda {

// Four bits of each of a group's eight values.
struct Nibbles {
  Bytes8 bytes;
  int shift;
  __device__ uint32_t operator[](int j) const { return NibbleOf(bytes, j, shift); }
};
// Of group 0 to 3 of 32 values whose bytes are at kPlace, `more` bytes further on.
template <class Format, int kPlace>
__device__ inline Nibbles NibblesOf32(Global<const uint8_t> block, int group, int more = 0) {
  Nibbles nibbles;
  ReadEight<Format, kPlace>(block, more + 8 * (group % 2), nibbles.bytes);
  nibbles.shift = 4 * (group / 2);
  return nibbles;
}

struct Q8_0 {
  static constexpr int kElements = 32, kBytes = 34;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const float d = ReadF16<Q8_0, 0>(block);
    Bytes8 q;
    ReadEight<Q8_0, 2>(block, 8 * group, q);
    for (int j = 0; j < 8; ++j) out[j] = Times(AsFloat(SignedByteOf(q, j)), d);
  }
};

struct Q4_0 {
  static constexpr int kElements = 32, kBytes = 18;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const float d = ReadF16<Q4_0, 0>(block);
    const Nibbles q = NibblesOf32<Q4_0, 2>(block, group);
    for (int j = 0; j < 8; ++j) out[j] = Times(AsFloat(static_cast<int>(q[j]) - 8), d);
  }
};

struct Q4_1 {
  static constexpr int kElements = 32, kBytes = 20;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const float d = ReadF16<Q4_1, 0>(block), m = ReadF16<Q4_1, 2>(block);
    const Nibbles q = NibblesOf32<Q4_1, 4>(block, group);
    for (int j = 0; j < 8; ++j) out[j] = Plus(Times(AsFloat(q[j]), d), m);
  }
};

// The fifth bits of 32 values are a word, the first value's lowest.
struct Q5_0 {
  static constexpr int kElements = 32, kBytes = 22;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const float d = ReadF16<Q5_0, 0>(block);
    const uint32_t fifth = ReadByte(block + 2 + group);
    const Nibbles q = NibblesOf32<Q5_0, 6>(block, group);
    for (int j = 0; j < 8; ++j) {
      const auto code = static_cast<int>(q[j] | (fifth >> j & 1) << 4);
      out[j] = Times(AsFloat(code - 16), d);
    }
  }
};

struct Q5_1 {
  static constexpr int kElements = 32, kBytes = 24;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const float d = ReadF16<Q5_1, 0>(block), m = ReadF16<Q5_1, 2>(block);
    const uint32_t fifth = ReadByte(block + 4 + group);
    const Nibbles q = NibblesOf32<Q5_1, 8>(block, group);
    for (int j = 0; j < 8; ++j) out[j] = Plus(Times(AsFloat(q[j] | (fifth >> j & 1) << 4), d), m);
  }
};

struct Iq4Nl {
  static constexpr int kElements = 32, kBytes = 18;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const float d = ReadF16<Iq4Nl, 0>(block);
    const Nibbles q = NibblesOf32<Iq4Nl, 2>(block, group);
    for (int j = 0; j < 8; ++j) out[j] = Times(kIq4Table[q[j]], d);
  }
};

struct Mxfp4 {
  static constexpr int kElements = 32, kBytes = 17;
  __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out) {
    const uint32_t e = ReadByte(block);
    const float unit = FloatOf(e < 2 ? 0x00200000u << e : (e - 1) << 23);  // 2^(e - 128)
    const Nibbles q = NibblesOf32<Mxfp4, 1>(block, group);
    for (int j = 0; j < 8; ++j) out[j] = Times(kMxfp4Table[q[j]], unit);
  }
};

}  // namespace retort::cuda
