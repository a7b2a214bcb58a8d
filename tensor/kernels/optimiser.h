// SPDX-License-Identifier: Apache-2.0
// Kernels of an optimiser step. Gradient norms and the clipping factor stay on the device.
// Conventions as in tensor/backend.h.
//
// In every rule g is the gradient times factor, f32 [1]; parameter, gradient and moments of the
// same shape have the same length; t is the step, from 1.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace retort {

struct AdamWStep {
  float lr, beta1, beta2, epsilon, weight_decay;
  int64_t step;  // from 1
};

struct LionStep {
  float lr, beta1, beta2, weight_decay;
};

struct SgdStep {
  float lr, momentum, weight_decay;
  bool first;  // the velocity holds nothing yet
};

struct AdafactorStep {
  float lr, beta2, epsilon, clip, weight_decay;
};

// A moment of an optimiser in 8 bits a value: value i is map[codes[i]] * scales[i / 256], with one
// of the maps of tensor/dynamic_map.h. codes u8 [n], scales f32 [ceil(n / 256)].
struct ByteMoment {
  Tensor codes, scales;
};

class OptimiserKernels {
 public:
  // sum f64 [1]: sum += x[0]^2 + x[1]^2 + ..., in double, in a fixed order
  virtual void SumSquares(const Tensor& x, Tensor& sum) = 0;
  // sum_squares f64 [1], of all gradients; factor f32 [1]: limit / (norm + 1e-6) if that is below 1
  // and limit > 0, else 1 (torch.nn.utils.clip_grad_norm_).
  virtual void ClipFactor(const Tensor& sum_squares, double limit, Tensor& factor) = 0;

  // AdamW (arXiv 1711.05101): m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
  // p *= 1 - lr*wd; p -= lr * sqrt(1-b2^t)/(1-b1^t) * m / (sqrt(v) + eps*sqrt(1-b2^t))
  virtual void AdamW(const AdamWStep& step, const Tensor& factor, Tensor& parameter,
                     const Tensor& gradient, Tensor& m, Tensor& v) = 0;
  // The same with moments in 8 bits (arXiv 2110.02861): m by the signed map, v by the other. Both
  // are decoded, used in f32, and encoded to the nearest code, a v above 0 never to that of 0.
  virtual void AdamWBytes(const AdamWStep& step, const Tensor& factor, Tensor& parameter,
                          const Tensor& gradient, ByteMoment& m, ByteMoment& v) = 0;
  // Lion (arXiv 2302.06675): p *= 1 - lr*wd; p -= lr * sign(b1 m + (1-b1) g);
  // m = b2 m + (1-b2) g
  virtual void Lion(const LionStep& step, const Tensor& factor, Tensor& parameter,
                    const Tensor& gradient, Tensor& m) = 0;
  // torch.optim.SGD: d = g + wd p; velocity = first ? d : momentum velocity + d;
  // p -= lr * velocity. Without momentum `velocity` is empty and d takes its place.
  virtual void Sgd(const SgdStep& step, const Tensor& factor, Tensor& parameter,
                   const Tensor& gradient, Tensor& velocity) = 0;
  // Adafactor without momentum (arXiv 1804.04235), parameter [R,C]: s = g^2 + eps;
  // rows [R] = b2 rows + (1-b2) mean_c s; columns [C] = b2 columns + (1-b2) mean_r s;
  // u = g / sqrt(rows columns / mean(rows)); p *= 1 - lr*wd; p -= lr * u / max(1, rms(u) / clip).
  // If `columns` is empty, `rows` [n] holds the second moment of every value.
  virtual void Adafactor(const AdafactorStep& step, const Tensor& factor, Tensor& parameter,
                         const Tensor& gradient, Tensor& rows, Tensor& columns) = 0;

 protected:
  ~OptimiserKernels() = default;
};

}  // namespace retort
