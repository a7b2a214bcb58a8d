// SPDX-License-Identifier: Apache-2.0
// The gated activation on a range of elements, on the calling thread.
#pragma once

#include <cstdint>

#include "tensor/backend.h"
#include "tensor/cpu/simd.h"

namespace retort {

struct GatedValues {
  const float *gate, *up;
  float* y;  // may be gate or up
};
// y = f(gate) * up for elements [begin, end).
void ActivateGated(Isa isa, Activation activation, const GatedValues& values, int64_t begin,
                   int64_t end);

}  // namespace retort
