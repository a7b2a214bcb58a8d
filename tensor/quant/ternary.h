// SPDX-License-Identifier: Apache-2.0
// What ggml's ternary formats share: 256 values d * (q - 1), q of 0, 1 and 2, d the largest
// magnitude as an f16.
#pragma once

#include "tensor/quant/format_kernels.h"
#include "tensor/quant/super_blocks.h"

namespace retort {

// The codes of the values in their order, and d.
template <int W>
RETORT_INLINE F16 TernaryCodes(const float* x, uint8_t* codes) {
  Floats<W> top = {};
  for (int i = 0; i < kSuperValues; i += W) top = Max<W>(Magnitude<W>(Load<W>(x + i)), top);
  const float d = MaxLane<W>(top), inverse = InverseOf(d);
  for (int i = 0; i < kSuperValues; i += W)
    StoreBytes<W>(codes + i, RoundedAway<W>(Load<W>(x + i) * inverse) + 1);
  return ToF16(d);
}

}  // namespace retort
