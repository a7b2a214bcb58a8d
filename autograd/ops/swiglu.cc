// SPDX-License-Identifier: Apache-2.0
// The gated activation of SwiGLU (Shazeer, arXiv 2002.05202), with a = sigmoid(gate):
//   y = gate a up
//   dgate += dy up (a + gate a (1 - a)),   dup += dy gate a
// Saves gate and up; y is not needed.
#include "autograd/ops.h"

namespace retort::ops {

Var SwiGlu(Context& context, const Var& gate, const Var& up) {
  RETORT_CHECK(gate.shape() == up.shape(), "swiglu: gate ", gate.shape().text(), ", up ",
               up.shape().text());

  Tensor y = context.backend.New(gate.shape());
  context.backend.SwiGlu(gate.value, up.value, y);

  return context.Record(y, {&gate, &up}, [gate, up](Backend& k, const Tensor& dy) {
    // Both are made at once; what is not wanted is dropped.
    Tensor dgate = k.New(gate.shape()), dup = k.New(up.shape());
    k.SwiGluGrad(dy, gate.value, up.value, dgate, dup);
    if (gate.wants_gradient()) gate.TakeGradient(k, dgate);
    if (up.wants_gradient()) up.TakeGradient(k, dup);
  });
}

}  // namespace retort::ops
