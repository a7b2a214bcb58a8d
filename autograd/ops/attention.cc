// SPDX-License-Identifier: Apache-2.0
// Causal attention with grouped heads, separately within each row of the batch:
//   P = softmax(cap(s Q K^T)) over the visible keys,   out = P V
//   dV += P^T dout,   dS = P (dout V^T - rowsum(dout out)) cap',   dQ += s dS K,   dK += s dS^T Q
// cap is the layer's soft cap, c tanh(z / c), or the identity.
// P is never stored: the backward pass recomputes it in tiles from log_sum, the logarithm of each
// query's sum (Dao et al., arXiv 2205.14135). Saves q, keys, values, out and log_sum [T,H]; the
// plan is shared by all layers of the pass.
#include "autograd/ops.h"

namespace retort::ops {

Var Attention(Context& context, const AttentionShape& shape,
              const std::shared_ptr<const AttentionPlan>& plan, const Var& q, const Var& keys,
              const Var& values) {
  RETORT_CHECK(shape.heads % shape.kv_heads == 0 &&
                   q.value.cols() == shape.heads * shape.head_dim && keys.shape() == values.shape(),
               "attention: q ", q.shape().text(), ", keys ", keys.shape().text());

  Tensor out = context.backend.New(q.shape());
  Tensor log_sum = context.backend.New({q.value.rows(), shape.heads});
  context.backend.Attention(shape, *plan, q.value, keys.value, values.value, out, log_sum);

  return context.Record(
      out, {&q, &keys, &values},
      [shape, plan, q, keys, values, out, log_sum](Backend& k, const Tensor& dout) {
        RETORT_CHECK(q.wants_gradient() && keys.wants_gradient() && values.wants_gradient());
        k.AttentionGrad(shape, *plan, dout, q.value, keys.value, values.value, out, log_sum,
                        q.GradientSum(k), keys.GradientSum(k), values.GradientSum(k));
      });
}

}  // namespace retort::ops
