// SPDX-License-Identifier: Apache-2.0
// y[i] = x[rows[i]].   dx[rows[i]] += dy[i].   Saves the row numbers.
#include <utility>

#include "autograd/ops.h"

namespace retort::ops {

Var Gather(Context& context, const Var& x, std::vector<int32_t> rows) {
  Tensor y = context.backend.New({std::ssize(rows), x.value.cols()});
  context.backend.GatherRows(x.value, rows, y);

  return context.Record(y, {&x}, [dx = x.sink(), rows = std::move(rows)](Backend& k, const Tensor& dy) {
    k.ScatterAddRows(dy, rows, dx.Sum(k));
  });
}

}  // namespace retort::ops
