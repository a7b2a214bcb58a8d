// SPDX-License-Identifier: Apache-2.0
// The weighted sum of the experts' outputs. For each part and each of its rows i, with r = rows[i]
// and w = weights[places[i]]:
//   out[r] += w y[i]
//   dy[i] += w dout[r],   dweights[places[i]] += dout[r] . y[i]
// One tape step for all parts. Saves each y, and the weights [T,used].
#include <algorithm>
#include <utility>

#include "autograd/ops.h"

namespace retort::ops {
namespace {

void Backward(Backend& k, const std::vector<ExpertRows>& parts, const Var& weights,
              const Tensor& dout) {
  for (const ExpertRows& part : parts) {
    if (!part.y.wants_gradient() && !weights.wants_gradient()) continue;
    Tensor dy = k.New(part.y.shape());
    Tensor* dweights = weights.wants_gradient() ? &weights.GradientSum(k) : nullptr;
    k.WeightedRowsGrad(dout, part.y.value, weights.value, part.rows, part.places, dy, dweights);
    if (part.y.wants_gradient()) part.y.AccumulateGradient(k, dy);
  }
}

}  // namespace

Var Combine(Context& context, int64_t tokens, std::vector<ExpertRows> parts, const Var& weights) {
  RETORT_CHECK(!parts.empty(), "combine: no part");

  Tensor out = context.backend.Zeros({tokens, parts[0].y.value.cols()});
  bool wanted = weights.wants_gradient();
  for (const ExpertRows& part : parts) {
    context.backend.AddWeightedRows(part.y.value, weights.value, part.rows, part.places, out);
    wanted = wanted || part.y.wants_gradient();
  }
  if (!context.tape || !wanted) return {out};

  return context.tape->Record(out,
                              [parts = std::move(parts), weights](Backend& k, const Tensor& dout) {
                                Backward(k, parts, weights, dout);
                              });
}

}  // namespace retort::ops
