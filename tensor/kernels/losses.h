// SPDX-License-Identifier: Apache-2.0
// Losses over rows of logits or hidden states. Losses are tensors of f64, one value per row; a
// gradient overwrites the input that it belongs to. Conventions as in tensor/backend.h.
#pragma once

#include <cstdint>

#include "tensor/distillation.h"
#include "tensor/tensor.h"

namespace retort {

// The distance between a student's hidden state and its teacher's.
enum class HiddenLossKind : uint8_t { kMse, kCosine };

class LossKernels {
 public:
  // logits [N,V]; targets i32 [N]: losses[i] = log sum exp(logits[i]) - (1 - smoothing)
  // logits[i][targets[i]] - smoothing mean(logits[i]): with label smoothing the target is a mixture
  // of the token and the uniform distribution (arXiv 1512.00567). If scales, f32 [N], are given,
  // the logits are overwritten by scales[i] * d losses[i] / d logits.
  virtual void CrossEntropy(Tensor& logits, const Tensor& targets, const Tensor& scales,
                            float smoothing, Tensor& losses) = 0;
  // logits [N,V], teacher [N,U]: raw outputs of the two heads; teacher is overwritten with scratch
  // values. Fills the tokens' outputs. With `gradient`, overwrites the logits with the gradient of
  // the objective (tensor/distillation.h).
  virtual void Distill(const DistillSettings& settings, const DistillTokens& tokens, bool gradient,
                       Tensor& logits, Tensor& teacher) = 0;
  // The same against the teacher's top outcomes alone. Not for kSorted.
  virtual void DistillTop(const DistillSettings& settings, const DistillTokens& tokens,
                          bool gradient, Tensor& logits, const TopOutcomes& teacher) = 0;
  // y, target [N,D]. mse: losses[i] = mean_d (y[i][d] - t[i][d])^2; cosine: losses[i] =
  // 1 - y[i].t[i] / (|y[i]| |t[i]|), which is 1 with gradient 0 where either norm is zero. When
  // gradient_scale is not 0, y is overwritten by gradient_scale * d losses[i] / d y.
  virtual void HiddenDistance(Tensor& y, const Tensor& target, HiddenLossKind kind,
                              float gradient_scale, Tensor& losses) = 0;
  // x f64 of any shape, sum f64 [1]: sum += factor * (x[0] + x[1] + ...), in a fixed order.
  virtual void AddSum(const Tensor& x, double factor, Tensor& sum) = 0;

 protected:
  ~LossKernels() = default;
};

}  // namespace retort
