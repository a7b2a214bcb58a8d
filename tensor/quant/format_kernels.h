// SPDX-License-Identifier: Apache-2.0
// Building blocks of a BlockFormat: decode, columns and encode as templates over a kernel, and
// helpers for the kernels' vectors.
#pragma once

#include <algorithm>
#include <cfloat>
#include <cstring>

#include "tensor/cpu/simd.h"
#include "tensor/quant/blocks.h"
#include "tensor/quant/format.h"
#include "tensor/quant/grid.h"
#include "tensor/weight.h"

namespace retort {

// Block `index`, counted row by row, of a weight in WeightLayout::kRows.
template <class Block>
const Block* BlocksOf(const Weight& w, int64_t index) {
  return reinterpret_cast<const Block*>(w.bytes().data()) + index;
}

// BlockFormat::decode. Kernel defines
//   using Block = ...;                       // as stored in files
//   static constexpr int64_t kValues = ...;  // of a block
//   template <int W> RETORT_INLINE static void Run(const Block* in, int64_t blocks, float* out);
template <class Kernel>
void DecodeBlocks(Isa isa, const Weight& w, int64_t first, int64_t blocks, float* out) {
  CallSimd<Kernel>(isa, BlocksOf<typename Kernel::Block>(w, first), blocks, out);
}

// Rows are a large stride apart, which hardware prefetchers do not predict: they are prefetched
// kAhead rows in advance.
template <class Kernel>
struct ColumnsKernel {
  static_assert(kDecodedCols % Kernel::kValues == 0, "a longer block needs columns of its own");
  static constexpr int64_t kAhead = 16;
  template <int W>
  RETORT_INLINE static void Run(const typename Kernel::Block* in, int64_t stride, int64_t count,
                                float* out) {
    for (int64_t k = 0; k < count; ++k) {
      __builtin_prefetch(in + std::min(k + kAhead, count - 1) * stride);
      Kernel::template Run<W>(in + k * stride, kDecodedCols / Kernel::kValues,
                              out + k * kDecodedCols);
    }
  }
};
// BlockFormat::columns, for blocks of at most kDecodedCols values.
template <class Kernel>
void DecodeBlockColumns(Isa isa, const Weight& w, int64_t first, int64_t count, int64_t col,
                        float* out) {
  const int64_t row_blocks = w.cols() / Kernel::kValues;
  const auto* in = BlocksOf<typename Kernel::Block>(w, first * row_blocks + col / Kernel::kValues);
  CallSimd<ColumnsKernel<Kernel>>(isa, in, row_blocks, count, out);
}

// Encodes consecutive blocks into `out`, which need not be aligned.
template <class Kernel>
struct EncodeKernel {
  template <int W>
  RETORT_INLINE static void Run(const float* row, int64_t blocks, std::byte* out) {
    for (int64_t b = 0; b < blocks; ++b) {
      const typename Kernel::Block block = Kernel::template Encoded<W>(row + b * Kernel::kValues);
      std::memcpy(out + b * int64_t{sizeof block}, &block, sizeof block);
    }
  }
};
// BlockFormat::encode. Kernel defines, besides Block and kValues,
//   template <int W> RETORT_INLINE static Block Encoded(const float* x);  // of kValues values
template <class Kernel>
void EncodeBlocks(Isa isa, const float* row, const float* /*importance*/, int64_t count,
                  std::byte* out) {
  CallSimd<EncodeKernel<Kernel>>(isa, row, count / Kernel::kValues, out);
}

// ---- vectors of bytes ----

template <int W>
using Chars [[gnu::vector_size(W)]] = uint8_t;
template <int W>
using SignedChars [[gnu::vector_size(W)]] = int8_t;

template <class V>
RETORT_INLINE V LoadAs(const void* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// In two steps: GCC 12 compiles a direct conversion from 8 to 32 bits, or back, to scalar code.
template <int W>
RETORT_INLINE Ints<W> Widened(Chars<W> v) {
  return __builtin_convertvector(__builtin_convertvector(v, Halves<W>), Ints<W>);
}
template <int W>
RETORT_INLINE Ints<W> WidenedSigned(SignedChars<W> v) {
  using SignedHalves [[gnu::vector_size(W * 2)]] = int16_t;
  return __builtin_convertvector(__builtin_convertvector(v, SignedHalves), Ints<W>);
}
// The low bytes of v.
template <int W>
RETORT_INLINE void StoreBytes(void* p, Ints<W> v) {
  const Chars<W> bytes = __builtin_convertvector(__builtin_convertvector(v, Halves<W>), Chars<W>);
  std::memcpy(p, &bytes, sizeof bytes);
}

// table[index & 15]
template <int W>
RETORT_INLINE Floats<W> LookUp(const float* table, Ints<W> index) {
#if __has_builtin(__builtin_shuffle)  // GCC's; clang finds instructions for the loop
  if constexpr (W == 16) {
    return __builtin_shuffle(Load<16>(table), index);
  }
  if constexpr (W == 8) {
    const Floats<8> low = __builtin_shuffle(Load<8>(table), index);
    const Floats<8> high = __builtin_shuffle(Load<8>(table + 8), index);
    return (index & 8) != 0 ? high : low;
  }
#endif
  Floats<W> v;
  for (int i = 0; i < W; ++i) v[i] = table[index[i] & 15];
  return v;
}

// table[index], of indices below 16.
RETORT_INLINE Chars<16> LookUpBytes(Chars<16> table, Chars<16> index) {
#if __has_builtin(__builtin_shuffle)
  return __builtin_shuffle(table, index);
#else
  Chars<16> v;
  for (int i = 0; i < 16; ++i) v[i] = table[index[i]];
  return v;
#endif
}

// 32 bytes of codes.
RETORT_INLINE Chars<32> Load32(const uint8_t* p) { return LoadAs<Chars<32>>(p); }
RETORT_INLINE void StoreCodes(Chars<32> codes, uint8_t* to) {
  std::memcpy(to, &codes, sizeof codes);
}
// Each by itself: compilers put an array of the two together in memory, and then wait for it.
RETORT_INLINE void StoreHalves(Chars<16> first, Chars<16> second, uint8_t* to) {
  std::memcpy(to, &first, sizeof first);
  std::memcpy(to + sizeof first, &second, sizeof second);
}

// ---- codes of 5 bits in blocks of 32: four low bits in q, as value i in the low and value i + 16
// in the high bits of q[i]; the fifth of value i is bit i of `high` (little-endian) ----

// Bit i of `bits` as 16 or 0 in byte i: each byte is masked to one bit, and an addition carries it
// to bit 7.
RETORT_INLINE uint64_t FifthBits(uint8_t bits) {
  const uint64_t own = (bits * 0x0101010101010101u) & 0x8040201008040201u;
  return ((own + 0x7f7f7f7f7f7f7f7fu) & 0x8080808080808080u) >> 3;
}
RETORT_INLINE void JoinFifthBits(const uint8_t* q, const uint8_t* high, uint8_t* codes) {
  using Pair [[gnu::vector_size(16)]] = uint64_t;
  const auto low = LoadAs<Chars<16>>(q);
  StoreHalves((low & 15) | (Chars<16>)Pair{FifthBits(high[0]), FifthBits(high[1])},
              (low >> 4) | (Chars<16>)Pair{FifthBits(high[2]), FifthBits(high[3])}, codes);
}
RETORT_INLINE void SplitFifthBits(const uint8_t* codes, uint8_t* q, uint8_t* high) {
  for (int i = 0; i < 16; ++i) q[i] = static_cast<uint8_t>((codes[i] & 15) | codes[i + 16] << 4);
  for (int i = 0; i < 4; ++i) {
    // Collects the fifth bits of eight codes: that of byte k moves from bit 8 k + 4 to bit 56 + k.
    const uint64_t fifths = LoadAs<uint64_t>(codes + 8 * i) >> 4 & 0x0101010101010101u;
    high[i] = static_cast<uint8_t>(fifths * 0x0102040810204080u >> 56);
  }
}

// ---- encoding blocks of 32, bit for bit as llama.cpp does ----

// Truncation toward zero. If d is subnormal, 1 / d overflows and products are not finite; these
// become 0, as in llama.cpp.
template <int W>
RETORT_INLINE Ints<W> Truncated(Floats<W> v) {
  return __builtin_convertvector(((v > -129.0f) & (v < 128.0f)) ? v : Floats<W>{}, Ints<W>);
}
// Rounded to nearest, halves away from zero; what is not within -129 and 128 becomes 0.
template <int W>
RETORT_INLINE Ints<W> RoundedAway(Floats<W> v) {
  const Ints<W> whole = Truncated<W>(v);
  const Floats<W> rest = v - __builtin_convertvector(whole, Floats<W>);  // exact if v fits
  const Ints<W> away = (v > -129.0f) & (v < 128.0f) & ((rest <= -0.5f) - (rest >= 0.5f));
  return whole + away;  // a true comparison is -1
}
RETORT_INLINE float InverseOf(float d) { return d != 0 ? 1 / d : 0.0f; }

// The value of largest magnitude, the first among equals; 0 if all are 0.
template <int W>
RETORT_INLINE float ExtremeOf32(const float* x) {
  Floats<W> highest = {}, lowest = {};
  for (int i = 0; i < 32; i += W) {
    const Floats<W> v = Load<W>(x + i);
    highest = v > highest ? v : highest;
    lowest = -v > lowest ? -v : lowest;
  }
  const float high = MaxLane<W>(highest), low = MaxLane<W>(lowest);
  if (high > low) return high;
  if (low > high) return -low;
  for (int i = 0; high > 0 && i < 32; ++i) {
    if (x[i] == high || x[i] == -high) return x[i];
  }
  return 0;
}

struct Range32 {
  float low, high;
};
template <int W>
RETORT_INLINE Range32 RangeOf32(const float* x) {
  Floats<W> negated = Splat<W>(-FLT_MAX), highest = negated;  // the largest of -v and of v
  for (int i = 0; i < 32; i += W) {
    const Floats<W> v = Load<W>(x + i);
    negated = -v > negated ? -v : negated;
    highest = v > highest ? v : highest;
  }
  Range32 range{-MaxLane<W>(negated), MaxLane<W>(highest)};
  if (range.low != 0) return range;
  // Among zeros of both signs, the first one counts as the lowest, and also as the highest if all
  // values are zeros.
  const float* zero = std::find(x, x + 32, 0.0f);
  return {*zero, range.high == 0 ? *zero : range.high};
}

}  // namespace retort
