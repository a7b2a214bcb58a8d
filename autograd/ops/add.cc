// SPDX-License-Identifier: Apache-2.0
// y = a + b.   da += dy, db += dy.   Saves nothing.
#include "autograd/ops.h"

namespace retort::ops {

Var Add(Context& context, const Var& a, const Var& b) {
  RETORT_CHECK(a.shape() == b.shape(), "add: ", a.shape().text(), " + ", b.shape().text());

  Tensor y = context.backend.New(a.shape());
  context.backend.Add(a.value, b.value, y);

  return context.Record(y, {&a, &b}, [da = a, db = b](Backend& k, const Tensor& dy) {
    if (da.wants_gradient()) k.Accumulate(dy, da.GradientSum(k));
    if (db.wants_gradient()) k.Accumulate(dy, db.GradientSum(k));
  });
}

}  // namespace retort::ops
