// SPDX-License-Identifier: Apache-2.0
// Encoding of ggml's K blocks without minima (Q3_K, Q6_K): 16 groups of 16 values
// d * scale * (code - middle); the scale of a group is a small integer of either sign.
#pragma once

#include "tensor/quant/fit.h"
#include "tensor/quant/super_blocks.h"

namespace retort {

inline constexpr int kSymmetricGroups = 16, kSymmetricValues = 16;

// The scale of largest magnitude, the first among equals; 0 if all are 0.
inline float ExtremeScale(const float* scale) {
  float extreme = 0;
  for (int g = 0; g < kSymmetricGroups; ++g) {
    if (std::abs(scale[g]) > std::abs(extreme)) extreme = scale[g];
  }
  return extreme;
}

// Runs fit(values, first, codes) for each W groups; it returns their scales. `codes` receives all.
template <int W, class Fit>
RETORT_INLINE void FitGroups(const float* x, const Fit& fit, float* scale,
                             Ints<W> (*codes)[kSymmetricValues]) {
  for (int part = 0; part < kSymmetricGroups / W; ++part) {
    Floats<W> values[kSymmetricValues];
    const int first = part * W * kSymmetricValues;
    GroupsToLanes<W, kSymmetricValues>(x + first, values);
    Store<W>(scale + part * W, fit(values, first, codes[part]));
  }
}

// The codes that are best for the rounded scales; those given where a scale became 0.
template <int W>
RETORT_INLINE void RoundGroups(const float* x, const float* scale, int middle,
                               Ints<W> (*codes)[kSymmetricValues], uint8_t* out) {
  for (int part = 0; part < kSymmetricGroups / W; ++part) {
    Floats<W> values[kSymmetricValues];
    const int first = part * W * kSymmetricValues;
    GroupsToLanes<W, kSymmetricValues>(x + first, values);
    const Floats<W> d = Load<W>(scale + part * W);
    for (int i = 0; i < kSymmetricValues; ++i) {
      const Ints<W> code = Clamped<W>(Nearest<W>(values[i] / d), -middle, middle - 1) + middle;
      codes[part][i] = d != 0.0f ? code : codes[part][i];
    }
    LanesToGroups<W, kSymmetricValues>(codes[part], out + first);
  }
}

}  // namespace retort
