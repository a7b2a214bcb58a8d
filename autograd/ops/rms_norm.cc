// SPDX-License-Identifier: Apache-2.0
// Root mean square normalisation (Zhang and Sennrich, arXiv 1910.07467), over each run of
// `width` values (the whole row, or each head of it, with one gain for all heads or one for each):
//   r = 1 / sqrt(mean(x^2) + epsilon),   y = x r gain
//   dx += r (dy gain - x r^2 mean(dy gain x)),   dgain += sum over rows of dy x r
// Saves x and r (one number per row); y is not needed.
#include "autograd/ops.h"

namespace retort::ops {

Var RmsNorm(Context& context, const Var& x, const Var& gain, float epsilon, int64_t width) {
  const int64_t gains = gain.value.elements();
  RETORT_CHECK(
      width > 0 && x.value.cols() % width == 0 && (gains == width || gains == x.value.cols()),
      "rms_norm: x ", x.shape().text(), ", gain ", gain.shape().text(), ", width ", width);
  const Shape as_rows = {x.value.elements() / width, width};

  Tensor y = context.backend.New(as_rows), inv_rms = context.backend.New({as_rows[0]});
  context.backend.RmsNorm(x.value.Reshaped(as_rows), gain.value, epsilon, y, inv_rms);

  return context.Record(y.Reshaped(x.shape()), {&x, &gain}, [=](Backend& k, const Tensor& dy) {
    // The kernel computes both gradients in one call. If x is a frozen embedding, dx is computed
    // and discarded; only the first norm of a model pays this cost.
    Tensor dx = (x.wants_gradient() ? x.GradientSum(k) : k.Zeros(x.shape())).Reshaped(as_rows);
    Tensor* dgain = gain.wants_gradient() ? &gain.GradientSum(k) : nullptr;
    k.RmsNormGrad(dy.Reshaped(as_rows), x.value.Reshaped(as_rows), gain.value, inv_rms, dx, dgain);
  });
}

}  // namespace retort::ops
