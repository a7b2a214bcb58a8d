// SPDX-License-Identifier: Apache-2.0
// What every backend does alike.
#include "tensor/backend.h"

namespace retort {

Tensor Backend::Zeros(Shape shape) {
  Tensor x = New(shape);
  Fill(x, 0);
  return x;
}

}  // namespace retort
