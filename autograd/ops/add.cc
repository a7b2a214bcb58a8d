// SPDX-License-Identifier: Apache-2.0
// y = a + b.   da += dy, db += dy.   Saves nothing.
#include "autograd/ops.h"

namespace retort::ops {

Var Add(Context& context, const Var& a, const Var& b) {
  RETORT_CHECK(a.shape() == b.shape(), "add: ", a.shape().text(), " + ", b.shape().text());

  Tensor y = context.backend.New(a.shape());
  context.backend.Add(a.value, b.value, y);

  return context.Record(y, {&a, &b}, [da = a.sink(), db = b.sink()](Backend& k, const Tensor& dy) {
    if (da.wanted() && db.wanted()) k.Accumulate(dy, da.Sum(k));
    (db.wanted() ? db : da).Accumulate(k, dy);
  });
}

}  // namespace retort::ops
