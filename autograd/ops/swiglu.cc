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
    // Where only one of the two is trained, the other's gradient is made and dropped.
    Tensor unwanted =
        gate.wants_gradient() && up.wants_gradient() ? Tensor() : k.Zeros(gate.shape());
    k.SwiGluGrad(dy, gate.value, up.value, gate.wants_gradient() ? gate.GradientSum(k) : unwanted,
                 up.wants_gradient() ? up.GradientSum(k) : unwanted);
  });
}

}  // namespace retort::ops
