// SPDX-License-Identifier: Apache-2.0
// Chooses the experts of each token and their weights (Shazeer et al., arXiv 1701.06538; Jiang et
// al., "Mixtral of Experts", arXiv 2401.04088; DeepSeek-V3, arXiv 2412.19437):
//   s = softmax(logits), or sigmoid(logits)
//   w_j = scale * s of the j-th best expert, divided by the sum of the chosen s if renormalised
//   dlogits += gradient of the scores, where ds comes from dw for the chosen experts, else is 0
// The choice itself is treated as constant. Saves s [T,E] and the experts [T,used].
#include "autograd/ops.h"

namespace retort::ops {

Routing Route(Context& context, const Var& logits, const RouteRule& rule) {
  Backend& backend = context.backend;
  const int64_t tokens = logits.value.rows();
  Tensor scores = backend.New(logits.shape());
  Tensor experts = backend.New({tokens, rule.used}, DType::kI32);
  Tensor weights = backend.New({tokens, rule.used});
  backend.Route(rule, logits.value, scores, experts, weights);

  const auto backward = [dlogits = logits.sink(), rule, scores, experts](Backend& k,
                                                                         const Tensor& dw) {
    k.RouteGrad(rule, dw, scores, experts, dlogits.Sum(k));
  };
  return {experts, context.Record(weights, {&logits}, backward)};
}

}  // namespace retort::ops
