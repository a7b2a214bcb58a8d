// SPDX-License-Identifier: Apache-2.0
// y[i] = x[rows[i]].   dx[rows[i]] += dy[i].   Saves the row numbers.
#include "autograd/ops.h"

namespace retort::ops {

Var Gather(Context& context, const Var& x, const Tensor& rows) {
  Tensor y = context.backend.New({rows.elements(), x.value.cols()});
  context.backend.GatherRows(x.value, rows, y);

  return context.Record(y, {&x}, [dx = x.sink(), rows](Backend& k, const Tensor& dy) {
    k.ScatterAddRows(dy, rows, dx.Sum(k));
  });
}

}  // namespace retort::ops
