// SPDX-License-Identifier: Apache-2.0
// Gradient checkpointing (Chen et al., arXiv 1604.06174): y = body(x). The forward pass saves only
// x; the backward pass reruns the body on a separate tape and then runs that tape. Recorded even if
// x needs no gradient, since the body contains parameters.
#include "autograd/ops.h"

namespace retort::ops {

Var Checkpoint(Context& context, const Var& x, const Body& body) {
  if (!context.tape) return body(context, x);

  Context untaped{context.backend};
  const Var y = body(untaped, {x.value});

  return context.tape->Record(y.value, [x, body](Backend& k, const Tensor& dy) {
    Tape tape(k);
    Context again{k, &tape};
    const Var y = body(again, x);
    if (!y.wants_gradient()) return;
    y.AccumulateGradient(k, dy);
    tape.Run();
  });
}

}  // namespace retort::ops
