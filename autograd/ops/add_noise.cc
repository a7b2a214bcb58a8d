// SPDX-License-Identifier: Apache-2.0
// x += noise, in place; dx is dy. Saves nothing.
#include "autograd/ops.h"

namespace retort::ops {

void AddNoise(Context& context, Var& x, const UniformNoise& noise) {
  context.backend.AddNoise(x.value, noise);
}

}  // namespace retort::ops
