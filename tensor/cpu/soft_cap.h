// SPDX-License-Identifier: Apache-2.0
// Soft caps, as functions and steps of ForLanes: x becomes cap * tanh(x / cap).
#pragma once

#include "tensor/cpu/simd.h"

namespace retort {

struct SoftCapOp {
  float* x;
  float cap;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    Store<W>(x + i, Tanh<W>(Load<W>(x + i, lanes) / cap) * cap, lanes);
  }
};

// d capped / dx = 1 - (capped / cap)^2, computed as a product of differences to avoid cancellation
// near the cap.
template <int W>
RETORT_INLINE Floats<W> SoftCapSlope(Floats<W> capped, float cap) {
  return (cap - capped) * (cap + capped) / (cap * cap);
}

}  // namespace retort
