// SPDX-License-Identifier: Apache-2.0
// What ggml's IQ4_NL and IQ4_XS share: 4-bit codes that stand for 16 unevenly spaced integers, and
// the choice of a group's scale (fit.h).
#pragma once

#include "tensor/quant/fit.h"
#include "tensor/quant/format_kernels.h"
#include "tensor/quant/levels.h"

namespace retort {

// Code 16 i + k of 32 is in the low, code 16 + k in the high four bits of q[k].
template <int W>
RETORT_INLINE void DecodeIq4(const uint8_t* q, float scale, float* out) {
  for (int i = 0; i < 16; i += W) {
    const auto codes = Widened<W>(LoadAs<Chars<W>>(q + i));
    Store<W>(out + i, LookUp<W>(kIq4Levels, codes & 15) * scale);
    Store<W>(out + 16 + i, LookUp<W>(kIq4Levels, codes >> 4) * scale);
  }
}

// The 32 levels plus 128.
RETORT_INLINE void StoreIq4Codes(const uint8_t* q, uint8_t* codes) {
  Chars<16> table;
  for (int i = 0; i < 16; ++i)
    table[i] = static_cast<uint8_t>(static_cast<int>(kIq4Levels[i]) + 128);
  const auto both = LoadAs<Chars<16>>(q);
  StoreHalves(LookUpBytes(table, both & 15), LookUpBytes(table, both >> 4), codes);
}

// The code of the nearest level, the higher one if two are equally near; 15 for NaN.
template <int W>
RETORT_INLINE Ints<W> Iq4Code(Floats<W> v) {
  Ints<W> code = SplatInt<W>(15);
  for (int i = 0; i < 15; ++i) code += v < (kIq4Levels[i] + kIq4Levels[i + 1]) / 2;  // -1 if true
  return code;
}

// Scales of groups of 32: tries 16 around the one that maps the value of largest magnitude to the
// lowest level; each is then the best for its codes. 0 for a group of zeros.
template <int W>
RETORT_INLINE Floats<W> FitIq4(const Floats<W>* x, const Floats<W>* weight) {
  const Floats<W> extreme = Extreme<W, 32>(x);
  const Ints<W> zeros = Magnitude<W>(extreme) < kZeroGroup;
  Floats<W> scale = {}, best = {};
  const auto consider = [&](Floats<W> inverse, bool first) RETORT_INLINE_LAMBDA {
    Floats<W> sum_qx = {}, sum_qq = {};
    for (int i = 0; i < 32; ++i) {
      const Floats<W> q = LookUp<W>(kIq4Levels, Iq4Code<W>(inverse * x[i]));
      const Floats<W> wq = weight[i] * q;
      sum_qx += wq * x[i];
      sum_qq += wq * q;
    }
    const Ints<W> usable = sum_qq > 0.0f;
    const Ints<W> better = first ? SplatInt<W>(-1) : (usable & (sum_qx * sum_qx > best * sum_qq));
    const Floats<W> tried = usable ? sum_qx / sum_qq : Floats<W>{};
    scale = better ? tried : scale;
    best = better ? tried * sum_qx : best;
  };
  consider(1.0f / (-extreme / kIq4Levels[0]), true);
  for (int s = -7; s <= 7; ++s) consider((static_cast<float>(s) + kIq4Levels[0]) / extreme, false);
  return zeros ? Floats<W>{} : scale;
}

// Weights of W groups: squares of the values; with importance, that times sqrt(x^2 + spread).
template <int W>
RETORT_INLINE void Iq4Weights(const Floats<W>* x, const Floats<W>* importance, Floats<W> spread,
                              Floats<W>* weight) {
  for (int i = 0; i < 32; ++i) {
    const Floats<W> square = x[i] * x[i];
    weight[i] = importance ? importance[i] * Sqrt<W>(spread + square) : square;
  }
}

inline void PackIq4(const uint8_t* codes, uint8_t* q) {
  for (int i = 0; i < 16; ++i) q[i] = static_cast<uint8_t>(codes[i] | codes[i + 16] << 4);
}

}  // namespace retort
