// SPDX-License-Identifier: Apache-2.0
// Reading the bytes of weight blocks on the device. A weight's first byte is 16-byte aligned, so a
// field's alignment is that of its block's size and of its place in the block.
//
// A format is a struct whose Decode decodes eight neighbouring values: those of group g of a block,
// values 8 g ... 8 g + 7. A warp decodes 256 neighbouring values, its lanes reading neighbouring
// bytes.
//   static constexpr int kElements = 256, kBytes = 144;  // of a block
//   __device__ static void Decode(Global<const uint8_t> block, int group, Eight& out);
// Every decoded value has the bits of BlockFormat::decode (NaN: it is NaN): the same operations in
// the same order, each rounded (Times, Plus).
#pragma once

#include "tensor/cuda/language/kernel_language.h"

namespace retort::cuda {

using Bytes8 = uint32_t[2];  // little-endian
using Eight = float[8];

// The largest power of two, at most 4, that divides both.
template <int kBytes, int kPlace>
inline constexpr int kAlignmentOf = (kBytes | kPlace | 4) & -(kBytes | kPlace | 4);

template <int kAlignment>
__device__ inline uint32_t ReadHalf(Global<const uint8_t> at) {
  if constexpr (kAlignment >= 2) {
    const uint16_t v = As<uint16_t>(at)[0];
    return v;
  } else {
    const uint8_t low = at[0], high = at[1];
    return uint32_t{low} | uint32_t{high} << 8;
  }
}
template <int kAlignment>
__device__ inline uint32_t ReadWord(Global<const uint8_t> at) {
  if constexpr (kAlignment >= 4) {
    const uint32_t v = As<uint32_t>(at)[0];
    return v;
  } else {
    return ReadHalf<kAlignment>(at) | ReadHalf<kAlignment>(at + 2) << 16;
  }
}

// Fields of a format's block at `place`, the first or the only one; `more` bytes, a multiple of 4,
// further on.
template <class Format, int kPlace>
__device__ inline float ReadF16(Global<const uint8_t> block) {
  const uint32_t bits = ReadHalf<kAlignmentOf<Format::kBytes, kPlace>>(block + kPlace);
  return Widen(F16{static_cast<uint16_t>(bits)});
}
template <class Format, int kPlace>
__device__ inline uint32_t ReadFour(Global<const uint8_t> block, int more = 0) {
  return ReadWord<kAlignmentOf<Format::kBytes, kPlace>>(block + kPlace + more);
}
template <class Format, int kPlace>
__device__ inline void ReadEight(Global<const uint8_t> block, int more, Bytes8& out) {
  out[0] = ReadFour<Format, kPlace>(block, more);
  out[1] = ReadFour<Format, kPlace>(block, more + 4);
}
__device__ inline uint32_t ReadByte(Global<const uint8_t> at) {
  const uint8_t v = at[0];
  return v;
}

// Byte j of eight.
__device__ inline uint32_t ByteOf(const Bytes8& bytes, int j) {
  return bytes[j / 4] >> (8 * (j % 4)) & 255;
}
__device__ inline int SignedByteOf(const Bytes8& bytes, int j) {
  return static_cast<int8_t>(ByteOf(bytes, j));
}
// The low or, with shift 4, the high four bits of each byte.
__device__ inline uint32_t NibbleOf(const Bytes8& bytes, int j, int shift) {
  return bytes[j / 4] >> (8 * (j % 4) + shift) & 15;
}

// A code between -2^22 and 2^22, exactly: added to the bits of 1.5 * 2^23, whose unit is 1. The
// device converts integers at a quarter of the rate at which it adds.
__device__ inline float AsFloat(int v) { return __int_as_float(0x4B400000 + v) - 0x1.8p23f; }
__device__ inline float AsFloat(uint32_t v) { return AsFloat(static_cast<int>(v)); }

}  // namespace retort::cuda
