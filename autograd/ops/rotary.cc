// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding (Su et al., arXiv 2104.09864): in each head the i-th of n pairs of
// values is rotated by position * frequency[i]; values beyond the first 2 n of a head are
// unchanged. The backward pass rotates the gradient by the negative angles. Saves the angles, which
// all layers share.
#include "autograd/ops.h"

namespace retort::ops {

Var Rotary(Context& context, const Var& x, const RotaryAngles& angles, int heads,
           RotaryPairs pairs) {
  RETORT_CHECK(
      angles.cos.rows() == x.value.rows() && heads * 2 * angles.cos.cols() <= x.value.cols(),
      "rotary: x ", x.shape().text(), ", ", heads, " heads, angles ", angles.cos.shape().text());

  Tensor y = context.backend.New(x.shape());
  context.backend.Rotary(x.value, angles.cos, angles.sin, heads, /*inverse=*/false, y, pairs);

  return context.Record(
      y, {&x}, [dx = x.sink(), angles, heads, pairs](Backend& k, const Tensor& dy) {
        Tensor turned = k.New(dy.shape());
        k.Rotary(dy, angles.cos, angles.sin, heads, /*inverse=*/true, turned, pairs);
        dx.Accumulate(k, turned);
      });
}

}  // namespace retort::ops
