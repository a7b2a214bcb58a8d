// SPDX-License-Identifier: Apache-2.0
// Normalisation. Conventions as in tensor/backend.h.
#pragma once

#include "tensor/tensor.h"

namespace retort {

class NormKernels {
 public:
  // x, y [N,C]; gain [C], or [G,C] of which row n uses n mod G (a gain for each head); inv_rms [N]:
  // y = x * r * gain, r = 1 / sqrt(mean(x^2) + epsilon)
  virtual void RmsNorm(const Tensor& x, const Tensor& gain, float epsilon, Tensor& y,
                       Tensor& inv_rms) = 0;
  // dx +=; dgain (like gain) += when not null
  virtual void RmsNormGrad(const Tensor& dy, const Tensor& x, const Tensor& gain,
                           const Tensor& inv_rms, Tensor& dx, Tensor* dgain) = 0;
  // x, y [N,C]: y = x - mean of its row, or y += with `accumulate`, which is also the gradient.
  virtual void CenterRows(const Tensor& x, bool accumulate, Tensor& y) = 0;
  // Columns brought to another norm. x, y [T,N]; size, norms [N]: y[t,c] = x[t,c] * size[c] /
  // norms[c], or 0 where norms[c] is 0; y may be x.
  virtual void ResizeColumns(const Tensor& x, const Tensor& size, const Tensor& norms,
                             Tensor& y) = 0;
  // dsize[c] += sum_t dy[t,c] * x[t,c] / norms[c], or 0 where norms[c] is 0
  virtual void ResizeColumnsGrad(const Tensor& dy, const Tensor& x, const Tensor& norms,
                                 Tensor& dsize) = 0;

 protected:
  ~NormKernels() = default;
};

}  // namespace retort
