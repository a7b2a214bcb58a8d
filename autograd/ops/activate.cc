// SPDX-License-Identifier: Apache-2.0
// The activation of a feed-forward layer without a gate: y = f(x).   dx += dy f'(x).
// As GatedActivation beside ones. Saves x and the ones.
#include "autograd/ops.h"

namespace retort::ops {

Var Activate(Context& context, Activation activation, const Var& x) {
  Tensor ones = context.backend.New(x.shape());
  context.backend.Fill(ones, 1);
  return GatedActivation(context, activation, x, {ones});
}

}  // namespace retort::ops
