// SPDX-License-Identifier: Apache-2.0
// y[t,:] = x[t,:] + bias.   dx += dy,   dbias += sum over t of dy[t,:]. Saves nothing.
#include "autograd/ops.h"

namespace retort::ops {

Var AddBias(Context& context, const Var& x, const Var& bias) {
  RETORT_CHECK(bias.value.elements() == x.value.cols(), "bias ", bias.shape().text(), " for ",
               x.shape().text());
  Tensor y = context.backend.New(x.shape());
  context.backend.CopyColumns(x.value, 0, y);
  context.backend.AddBias(y, bias.value);

  return context.Record(y, {&x, &bias},
                        [dx = x.sink(), dbias = bias.sink()](Backend& k, const Tensor& dy) {
                          if (dbias.wanted()) k.BiasGrad(dy, dbias.Sum(k));
                          if (dx.wanted()) dx.Accumulate(k, dy);
                        });
}

}  // namespace retort::ops
