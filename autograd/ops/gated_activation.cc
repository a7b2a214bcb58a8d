// SPDX-License-Identifier: Apache-2.0
// The activation of a gated feed-forward layer (Shazeer, arXiv 2002.05202); `activation` selects f:
//   y = f(gate) up
//   dgate += dy up f'(gate),   dup += dy f(gate)
// Saves gate and up; y is not needed.
#include "autograd/ops.h"

namespace retort::ops {

Var GatedActivation(Context& context, Activation activation, const Var& gate, const Var& up) {
  RETORT_CHECK(gate.shape() == up.shape(), "gated activation: gate ", gate.shape().text(), ", up ",
               up.shape().text());

  Tensor y = context.backend.New(gate.shape());
  context.backend.GatedActivation(activation, gate.value, up.value, y);

  return context.Record(y, {&gate, &up}, [activation, gate, up](Backend& k, const Tensor& dy) {
    // The kernel computes both; an unneeded one is discarded.
    Tensor dgate = k.New(gate.shape()), dup = k.New(up.shape());
    k.GatedActivationGrad(activation, dy, gate.value, up.value, dgate, dup);
    if (gate.wants_gradient()) gate.AccumulateGradient(k, dgate);
    if (up.wants_gradient()) up.AccumulateGradient(k, dup);
  });
}

}  // namespace retort::ops
