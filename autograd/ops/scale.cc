// SPDX-License-Identifier: Apache-2.0
// y = factor x.   dx += factor dy.   Saves nothing.
#include "autograd/ops.h"

namespace retort::ops {

Var Scale(Context& context, const Var& x, float factor) {
  Tensor y = context.backend.New(x.shape());
  context.backend.CopyColumns(x.value, 0, y);
  context.backend.Scale(y, factor);

  return context.Record(y, {&x}, [dx = x.sink(), factor](Backend& k, const Tensor& dy) {
    Tensor scaled = dy;  // shares dy's elements, which no other step uses any more
    k.Scale(scaled, factor);
    dx.Accumulate(k, scaled);
  });
}

}  // namespace retort::ops
