// SPDX-License-Identifier: Apache-2.0
// y = x - mean(x), over each run of `width` values.   dx += dy - mean(dy): the same map, which is
// its own transpose. RmsNorm of it is LayerNorm (Ba et al., arXiv 1607.06450). Saves nothing.
#include "autograd/ops.h"

namespace retort::ops {

Var Center(Context& context, const Var& x, int64_t width) {
  RETORT_CHECK(width > 0 && x.value.cols() % width == 0, "center: x ", x.shape().text(), ", width ",
               width);
  const Shape as_rows = {x.value.elements() / width, width};

  Tensor y = context.backend.New(as_rows);
  context.backend.CenterRows(x.value.Reshaped(as_rows), false, y);

  return context.Record(y.Reshaped(x.shape()), {&x},
                        [dx = x.sink(), as_rows](Backend& k, const Tensor& dy) {
                          Tensor sum = dx.Sum(k).Reshaped(as_rows);
                          k.CenterRows(dy.Reshaped(as_rows), true, sum);
                        });
}

}  // namespace retort::ops
