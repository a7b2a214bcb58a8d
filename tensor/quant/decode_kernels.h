// SPDX-License-Identifier: Apache-2.0
// The inner loops of decoding, by format; for decode.cc and decode_columns.cc.
#pragma once

#include <cstring>

#include "tensor/cpu/simd.h"
#include "tensor/quant/blocks.h"

namespace retort {

template <int W> using Chars [[gnu::vector_size(W)]] = uint8_t;
template <int W> using SignedChars [[gnu::vector_size(W)]] = int8_t;

template <class V> RETORT_INLINE V LoadAs(const void* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// In two steps: GCC 12 makes one step from 8 to 32 bits value by value.
template <int W> RETORT_INLINE Ints<W> Widened(Chars<W> v) {
  return __builtin_convertvector(__builtin_convertvector(v, Halves<W>), Ints<W>);
}
template <int W> RETORT_INLINE Ints<W> WidenedSigned(SignedChars<W> v) {
  using SignedHalves [[gnu::vector_size(W * 2)]] = int16_t;
  return __builtin_convertvector(__builtin_convertvector(v, SignedHalves), Ints<W>);
}

// table[index & 15]
template <int W> RETORT_INLINE Floats<W> LookUp(const float* table, Ints<W> index) {
  if constexpr (W == 16) {
    return __builtin_shuffle(Load<16>(table), index);
  } else if constexpr (W == 8) {
    const Floats<8> low = __builtin_shuffle(Load<8>(table), index);
    const Floats<8> high = __builtin_shuffle(Load<8>(table + 8), index);
    return (index & 8) != 0 ? high : low;
  } else {
    Floats<W> v;
    for (int i = 0; i < W; ++i) v[i] = table[index[i] & 15];
    return v;
  }
}

struct WidenKernel {  // f16, bf16
  template <int W, class T> RETORT_INLINE static void Run(const T* in, int64_t n, float* out) {
    int64_t i = 0;
    for (; i + W <= n; i += W) Store<W>(out + i, Load<W>(in + i));
    if (i < n) Store<W>(out + i, Load<W>(in + i, FirstLanes{n - i}), FirstLanes{n - i});
  }
};

struct RoundKernel {
  template <int W> RETORT_INLINE static Halves<W> Rounded(Floats<W> v) {
    const Ints<W> u = (Ints<W>)v;
    const Ints<W> nearest = u + 0x7fff + (u >> 16 & 1);
    const Ints<W> bits = (u & 0x7fffffff) > 0x7f800000 ? u | 0x400000 : nearest;
    return __builtin_convertvector(bits >> 16 & 0xffff, Halves<W>);
  }
  template <int W> RETORT_INLINE static void Run(const float* in, int64_t n, BF16* out) {
    int64_t i = 0;
    for (; i + W <= n; i += W) {
      const Halves<W> h = Rounded<W>(Load<W>(in + i));
      std::memcpy(out + i, &h, sizeof h);
    }
    for (; i < n; ++i) out[i] = ToBF16(in[i]);
  }
};

struct Q8Kernel {
  template <int W>
  RETORT_INLINE static void Run(const BlockQ8_0* in, int64_t blocks, float* out) {
    for (int64_t b = 0; b < blocks; ++b, out += kBlockValues) {
      const float d = ScaleOf(in[b].d);
      for (int i = 0; i < 32; i += W) {
        const auto q = WidenedSigned<W>(LoadAs<SignedChars<W>>(in[b].q + i));
        Store<W>(out + i, __builtin_convertvector(q, Floats<W>) * d);
      }
    }
  }
};

struct Q4Kernel {
  template <int W>
  RETORT_INLINE static void Run(const BlockQ4_0* in, int64_t blocks, float* out) {
    for (int64_t b = 0; b < blocks; ++b, out += kBlockValues) {
      const float d = ScaleOf(in[b].d);
      for (int i = 0; i < 16; i += W) {
        const auto q = Widened<W>(LoadAs<Chars<W>>(in[b].q + i));
        Store<W>(out + i, __builtin_convertvector((q & 15) - 8, Floats<W>) * d);
        Store<W>(out + 16 + i, __builtin_convertvector((q >> 4) - 8, Floats<W>) * d);
      }
    }
  }
};

struct Nf4Kernel {
  template <int W>
  RETORT_INLINE static void Run(const std::byte* in, const float* table, const float* scales,
                                int64_t blocks, float* out) {
    for (int64_t b = 0; b < blocks; ++b) {
      for (int half = 0; half < 2; ++half, in += 16, out += 32) {
        // The first of two values is the high half of a byte: bring it to the lower address.
        const auto pairs = __builtin_convertvector(LoadAs<Chars<16>>(in), Halves<16>);
        const Halves<16> spread = pairs >> 4 | (pairs & 15) << 8;
        uint8_t codes[32];
        std::memcpy(codes, &spread, sizeof codes);
        for (int i = 0; i < 32; i += W) {
          const auto q = Widened<W>(LoadAs<Chars<W>>(codes + i));
          Store<W>(out + i, LookUp<W>(table, q) * scales[b]);
        }
      }
    }
  }
};

}  // namespace retort
