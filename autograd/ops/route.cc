// SPDX-License-Identifier: Apache-2.0
// Chooses the experts of each token and their weights (Shazeer et al., arXiv 1701.06538; Jiang et
// al., "Mixtral of Experts", arXiv 2401.04088):
//   p = softmax(logits)
//   w_j = p of the j-th most probable expert, divided by the sum of the chosen p if renormalised
//   dlogits += softmax gradient of dp, where dp comes from dw for the chosen experts, else is 0
// The choice itself is treated as constant. Saves p [T,E] and the experts [T,used].
#include "autograd/ops.h"

namespace retort::ops {

Routing Route(Context& context, const Var& logits, const RouteRule& rule) {
  Backend& backend = context.backend;
  const int64_t tokens = logits.value.rows();
  Tensor probabilities = backend.New(logits.shape());
  Tensor experts = backend.New({tokens, rule.used}, DType::kI32);
  Tensor weights = backend.New({tokens, rule.used});
  backend.Route(rule, logits.value, probabilities, experts, weights);

  Routing routing;
  routing.experts = backend.ToHost<int32_t>(experts);
  const auto backward = [dlogits = logits.sink(), rule, probabilities, experts](Backend& k,
                                                                                const Tensor& dw) {
    k.RouteGrad(rule, dw, probabilities, experts, dlogits.Sum(k));
  };
  routing.weights = context.Record(weights, {&logits}, backward);
  return routing;
}

}  // namespace retort::ops
