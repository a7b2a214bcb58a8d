// SPDX-License-Identifier: Apache-2.0
// Shared by the losses over rows of logits: maxima, and sums of exponentials.
#pragma once

#include <cmath>

#include "tensor/cpu/loops.h"

namespace retort {

inline constexpr int64_t kSumBlock = 4096;  // sums of blocks are added in double

// Loads with `fill` in the inactive lanes.
template <int W>
RETORT_INLINE Floats<W> LoadOr(const float* p, float, AllLanes) {
  return Load<W>(p);
}
template <int W>
RETORT_INLINE Floats<W> LoadOr(const float* p, float fill, FirstLanes lanes) {
  float part[W];
  for (int64_t j = 0; j < W; ++j) part[j] = j < lanes.n ? p[j] : fill;
  return Load<W>(part);
}

template <int W>
RETORT_INLINE float Most(const float* x, int64_t n) {
  Floats<W> most = Splat<W>(kMinusInfinity);
  int64_t i = 0;
  for (; i + W <= n; i += W) most = Max<W>(Load<W>(x + i), most);
  float result = MaxLane<W>(most);
  for (; i < n; ++i) result = x[i] > result ? x[i] : result;
  return result;
}

// The sum of op's terms over [0, n): blocks of kSumBlock in f32, their sums in double.
template <int W, class Op>
RETORT_INLINE double SumBlocks(const Op& op, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i += kSumBlock) {
    sum += SumLanes<W>(op, i, std::min(n, i + kSumBlock));
  }
  return sum;
}

struct ExpTerm {  // exp((x - most) * factor), also stored to `keep` unless that is null
  const float* x;
  float most;
  float factor = 1;  // 1 / temperature
  float* keep = nullptr;

  template <int W, class Lanes>
  RETORT_INLINE Floats<W> Term(int64_t i, Lanes lanes) const {
    const Floats<W> e = Exp<W>((LoadOr<W>(x + i, kMinusInfinity, lanes) - most) * factor);
    if (keep) Store<W>(keep + i, e, lanes);
    return e;
  }
};

struct PlainTerm {
  const float* x;
  template <int W, class Lanes>
  RETORT_INLINE Floats<W> Term(int64_t i, Lanes lanes) const {
    return Load<W>(x + i, lanes);
  }
};

}  // namespace retort
