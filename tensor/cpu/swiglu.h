// SPDX-License-Identifier: Apache-2.0
// The gated activation, as steps of ForLanes: y = silu(gate) * up.
#pragma once

#include "tensor/cpu/simd.h"

namespace retort {

struct SwiGluOp {
  const float *gate, *up;
  float* y;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    const Floats<W> z = Load<W>(gate + i, lanes);
    Store<W>(y + i, z / (1.0f + Exp<W>(-z)) * Load<W>(up + i, lanes), lanes);
  }
};

}  // namespace retort
