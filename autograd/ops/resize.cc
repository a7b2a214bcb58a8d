// SPDX-License-Identifier: Apache-2.0
// y[t,c] = x[t,c] size[c] / norms[c]; a row of zeros, whose norm is 0, stays one.
//   dx += dy size / norms,   dsize += sum over t of dy x / norms. Saves x; norms are constants, as
//   DoRA has it (arXiv 2402.09353, section 4.3).
#include "autograd/ops.h"

namespace retort::ops {

Var Resize(Context& context, const Var& x, const Var& size, const Tensor& norms) {
  Tensor y = context.backend.New(x.shape());
  context.backend.ResizeColumns(x.value, size.value, norms, y);

  return context.Record(y, {&x, &size}, [x, size, norms](Backend& k, const Tensor& dy) {
    if (size.wants_gradient()) k.ResizeColumnsGrad(dy, x.value, norms, size.GradientSum(k));
    if (!x.wants_gradient()) return;
    Tensor dx = dy;  // shares dy's elements, which no other step uses any more
    k.ResizeColumns(dy, size.value, norms, dx);
    x.AccumulateGradient(k, dx);
  });
}

}  // namespace retort::ops
