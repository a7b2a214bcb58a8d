// SPDX-License-Identifier: Apache-2.0
// Kernels of an optimiser step. Gradient norms and the clipping factor stay on the device.
// Conventions as in tensor/backend.h.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace retort {

struct AdamWStep {
  float lr, beta1, beta2, epsilon, weight_decay;
  int64_t step;  // from 1
};

class OptimiserKernels {
 public:
  // sum f64 [1]: sum += x[0]^2 + x[1]^2 + ..., in double, in a fixed order
  virtual void SumSquares(const Tensor& x, Tensor& sum) = 0;
  // sum_squares f64 [1], of all gradients; factor f32 [1]: limit / (norm + 1e-6) if that is below 1
  // and limit > 0, else 1 (torch.nn.utils.clip_grad_norm_).
  virtual void ClipFactor(const Tensor& sum_squares, double limit, Tensor& factor) = 0;
  // parameter, gradient, m and v have the same length; the gradient is first multiplied by factor,
  // f32 [1]. Decoupled weight decay:
  // p *= 1 - lr*wd; p -= lr * sqrt(1-b2^t)/(1-b1^t) * m / (sqrt(v) + eps*sqrt(1-b2^t))
  virtual void AdamW(const AdamWStep& step, const Tensor& factor, Tensor& parameter,
                     const Tensor& gradient, Tensor& m, Tensor& v) = 0;

 protected:
  ~OptimiserKernels() = default;
};

}  // namespace retort
