// SPDX-License-Identifier: Apache-2.0
// The same values in another shape.   dx += dy, reshaped. Copies and saves nothing.
#include "autograd/ops.h"

namespace retort::ops {

Var Reshape(Context& context, const Var& x, const Shape& shape) {
  return context.Record(x.value.Reshaped(shape), {&x},
                        [dx = x.sink()](Backend& k, const Tensor& dy) { dx.Accumulate(k, dy); });
}

}  // namespace retort::ops
