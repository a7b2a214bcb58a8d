// SPDX-License-Identifier: Apache-2.0
// Choosing the scale, the minimum and the codes of groups of values so that a weighted error is
// small, bit for bit as ggml does. Every lane of a vector has a group of its own and computes what
// a scalar program would: sums run over a group's values in their order, so that the result does
// not depend on W.
#pragma once

#include "tensor/cpu/simd.h"

namespace retort {

// The lanes of a search in a kernel with vectors of W. No more than 8: blocks have 8 or 16 groups,
// and values are moved to 16 lanes more slowly than they gain there.
template <int W>
inline constexpr int kFitLanes = W < 8 ? W : 8;

// Groups whose largest magnitude is below this count as zeros.
inline constexpr float kZeroGroup = 1e-15f;

// The nearest integer, halves to even, for |v| < 2^22: adding 1.5 * 2^23 leaves it in the low bits.
// Other v become the integer that ggml makes of them.
template <int W>
RETORT_INLINE Ints<W> Nearest(Floats<W> v) {
  return ((Ints<W>)(v + 12582912.0f) & 0x007fffff) - 0x00400000;
}
RETORT_INLINE int32_t Nearest(float v) {
  return (std::bit_cast<int32_t>(v + 12582912.0f) & 0x007fffff) - 0x00400000;
}

template <int W>
RETORT_INLINE Ints<W> Clamped(Ints<W> v, int32_t low, int32_t high) {
  v = v < low ? SplatInt<W>(low) : v;
  return v > high ? SplatInt<W>(high) : v;
}
template <int W>
RETORT_INLINE Floats<W> AsFloats(Ints<W> v) {
  return __builtin_convertvector(v, Floats<W>);
}
template <int W>
RETORT_INLINE bool AnyLane(Ints<W> mask) {
  int32_t any = 0;
  for (int i = 0; i < W; ++i) any |= mask[i];
  return any != 0;
}

// Value i of group g, of W groups of N values one after the other, becomes lane g of out[i].
template <int W, int N>
RETORT_INLINE void GroupsToLanes(const float* x, Floats<W>* out) {
  for (int i = 0; i < N; ++i) {
    for (int g = 0; g < W; ++g) out[i][g] = x[g * N + i];
  }
}
// The other way round, as bytes.
template <int W, int N>
RETORT_INLINE void LanesToGroups(const Ints<W>* codes, uint8_t* out) {
  for (int g = 0; g < W; ++g) {
    for (int i = 0; i < N; ++i) out[g * N + i] = static_cast<uint8_t>(codes[i][g]);
  }
}

// In the values' order.
inline float SumOfSquares(const float* x, int64_t count) {
  float sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += x[i] * x[i];
  return sum;
}

// The value of largest magnitude, the first among equals; 0 if all are 0.
template <int W, int N>
RETORT_INLINE Floats<W> Extreme(const Floats<W>* x) {
  Floats<W> top = {}, extreme = {};
  for (int i = 0; i < N; ++i) {
    const Floats<W> magnitude = Magnitude<W>(x[i]);
    extreme = magnitude > top ? x[i] : extreme;
    top = magnitude > top ? magnitude : top;
  }
  return extreme;
}

// ---- value = scale * code - below, codes 0 to `top` ----

// The inverse scales that are tried: (top + first + i * step) / (largest - smallest value), i = 0
// to `steps`; each with the scale and minimum that are best for the codes it gives. The one with
// the smallest weighted sum of errors is taken: of their magnitudes if `absolute`, else of squares.
struct FitSearch {
  float first, step;
  int steps;
  bool absolute;
};

inline constexpr FitSearch kSearchByImportance = {-0.9f, 0.05f, 36, false};

template <int W, int N>
struct FitWithMinimum {
  Floats<W> scale, below;
  Ints<W> codes[N];
};

template <int W, int N>
RETORT_INLINE Floats<W> FitError(const Floats<W>* x, const Floats<W>* weight, const Ints<W>* codes,
                                 Floats<W> scale, Floats<W> low, bool absolute) {
  Floats<W> error = {};
  for (int i = 0; i < N; ++i) {
    const Floats<W> off = scale * AsFloats<W>(codes[i]) + low - x[i];
    error += weight[i] * (absolute ? Magnitude<W>(off) : off * off);
  }
  return error;
}

template <int W, int N>
RETORT_INLINE void Fit(const Floats<W>* x, const Floats<W>* weight, int top, FitSearch search,
                       FitWithMinimum<W, N>* fit) {
  Floats<W> low = x[0], high = x[0], sum_w = weight[0], sum_wx = weight[0] * x[0];
  for (int i = 1; i < N; ++i) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
    sum_w += weight[i];
    sum_wx += weight[i] * x[i];
  }
  low = low > 0.0f ? Floats<W>{} : low;
  const Ints<W> flat = high == low;
  const Floats<W> flat_low = low;
  Floats<W> inverse = static_cast<float>(top) / (high - low);
  fit->scale = 1.0f / inverse;
  for (int i = 0; i < N; ++i)
    fit->codes[i] = Clamped<W>(Nearest<W>(inverse * (x[i] - low)), 0, top);
  Floats<W> error = FitError<W, N>(x, weight, fit->codes, fit->scale, low, search.absolute);
  for (int s = 0; s <= search.steps; ++s) {
    // From the minimum that is best so far, as ggml does.
    inverse = (search.first + search.step * static_cast<float>(s) + static_cast<float>(top)) /
              (high - low);
    Ints<W> codes[N];
    Floats<W> sum_q = {}, sum_qq = {}, sum_qx = {};
    for (int i = 0; i < N; ++i) {
      codes[i] = Clamped<W>(Nearest<W>(inverse * (x[i] - low)), 0, top);
      const Floats<W> q = AsFloats<W>(codes[i]), wq = weight[i] * q;
      sum_q += wq;
      sum_qq += wq * q;
      sum_qx += wq * x[i];
    }
    // The least squares of scale and minimum, which must not be above zero.
    const Floats<W> determinant = sum_w * sum_qq - sum_q * sum_q;
    Floats<W> scale = (sum_w * sum_qx - sum_wx * sum_q) / determinant;
    Floats<W> minimum = (sum_qq * sum_wx - sum_q * sum_qx) / determinant;
    const Ints<W> above = minimum > 0.0f;
    scale = above ? sum_qx / sum_qq : scale;
    minimum = above ? Floats<W>{} : minimum;
    const Floats<W> tried = FitError<W, N>(x, weight, codes, scale, minimum, search.absolute);
    const Ints<W> better = (determinant > 0.0f) & (tried < error);
    for (int i = 0; i < N; ++i) fit->codes[i] = better ? codes[i] : fit->codes[i];
    error = better ? tried : error;
    fit->scale = better ? scale : fit->scale;
    low = better ? minimum : low;
  }
  fit->scale = flat ? Floats<W>{} : fit->scale;
  fit->below = -(flat ? flat_low : low);
  for (int i = 0; i < N; ++i) fit->codes[i] = flat ? Ints<W>{} : fit->codes[i];
}

// ---- value = scale * (code - middle), codes 0 to 2 middle - 1 ----

// Tries 19 scales around the one that maps the value of largest magnitude to -middle; each is then
// the best for its codes. Codes are 0 in a group of zeros.
template <int W, int N>
RETORT_INLINE Floats<W> FitAroundZero(const Floats<W>* x, const Floats<W>* weight, int middle,
                                      Ints<W>* codes) {
  const Floats<W> extreme = Extreme<W, N>(x);
  const Ints<W> zeros = Magnitude<W>(extreme) < kZeroGroup;
  Floats<W> scale = {}, best = {};
  const auto consider = [&](float shift) RETORT_INLINE_LAMBDA {
    const Floats<W> inverse = -(static_cast<float>(middle) + shift) / extreme;
    Ints<W> tried[N];
    Floats<W> sum_qx = {}, sum_qq = {};
    for (int i = 0; i < N; ++i) {
      tried[i] = Clamped<W>(Nearest<W>(inverse * x[i]), -middle, middle - 1);
      const Floats<W> q = AsFloats<W>(tried[i]);
      sum_qx += weight[i] * x[i] * q;
      sum_qq += weight[i] * q * q;
    }
    const bool first = shift == 0;
    const Ints<W> usable = first ? sum_qq != 0.0f : sum_qq > 0.0f;
    const Ints<W> better = first ? SplatInt<W>(-1) : (usable & (sum_qx * sum_qx > best * sum_qq));
    const Floats<W> tried_scale = usable ? sum_qx / sum_qq : Floats<W>{};
    scale = better ? tried_scale : scale;
    best = better ? tried_scale * sum_qx : best;
    for (int i = 0; i < N; ++i) codes[i] = better ? tried[i] + middle : codes[i];
  };
  consider(0.0f);
  for (int s = -9; s <= 9; ++s) {
    if (s != 0) consider(0.1f * static_cast<float>(s));
  }
  for (int i = 0; i < N; ++i) codes[i] = zeros ? Ints<W>{} : codes[i];
  return zeros ? Floats<W>{} : scale;
}

}  // namespace retort
