// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding. Conventions as in tensor/backend.h.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace retort {

// Which values of a head are rotated together by angle i of n: (x[i], x[i + n]) as in Hugging
// Face's Llama, or (x[2i], x[2i + 1]) as in the original.
enum class RotaryPairs : uint8_t { kHalves, kNeighbours };

class RotaryKernels {
 public:
  // cos, sin [T,n] of positions[t] * inv_freq[i] (angles computed in double), times `amplitude`.
  // positions i32 [T], inv_freq f64 [n].
  virtual void RotaryTable(const Tensor& positions, const Tensor& inv_freq, double amplitude,
                           Tensor& cos, Tensor& sin) = 0;
  // x, y [T, heads * D], may be the same tensor; cos, sin [T,n], 2 n <= D. Each pair (a, b) of a
  // head's first 2 n values is rotated by its angle: a cos - b sin, b cos + a sin. The other
  // D - 2 n values are copied. inverse: rotates by the negative angles, which is the gradient.
  virtual void Rotary(const Tensor& x, const Tensor& cos, const Tensor& sin, int heads,
                      bool inverse, Tensor& y, RotaryPairs pairs = RotaryPairs::kHalves) = 0;

 protected:
  ~RotaryKernels() = default;
};

}  // namespace retort
