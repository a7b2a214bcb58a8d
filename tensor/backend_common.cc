// SPDX-License-Identifier: Apache-2.0
// What every backend does alike.
#include "tensor/backend.h"

namespace retort {

Tensor Backend::Zeros(Shape shape) {
  Tensor x = New(shape);
  Fill(x, 0);
  return x;
}

void Backend::LinearForwards(const Tensor& x, std::span<LinearProduct> products) {
  for (LinearProduct& p : products) LinearForward(x, *p.w, p.y);
}

}  // namespace retort
