// SPDX-License-Identifier: Apache-2.0
// Products of activations with frozen weights, adapters beside them, and dense products. What a
// product with a weight is computed in is the prepared weight's own. Conventions as in
// tensor/backend.h.
#pragma once

#include <span>

#include "tensor/kernels/elementwise.h"
#include "tensor/prepared.h"
#include "tensor/tensor.h"

namespace retort {

// An adapter beside a weight: + u b^T, u = scale * input a^T. Without one, a is empty.
struct AdapterProduct {
  Tensor a, b;  // [R,in], [out,R]
  float scale = 0;
  Tensor input;  // [T,in]: x, or x after dropout
  Tensor u;      // [T,R]: written by the forward product, read by the gradient
};
// One of several products with the same x: y = x w^T, and the adapter's.
struct LinearProduct {
  const PreparedWeight* w;
  Tensor y;  // [T,out]
  AdapterProduct adapter;
};
// The gradient of one of several products with the same x.
struct LinearGradient {
  const PreparedWeight* w;
  Tensor dy;  // [T,out]
  AdapterProduct adapter;
  Tensor da, db;   // of the adapter's matrices: +=
  Tensor dropped;  // [T,in]: where the adapter's input was not x itself, its gradient; else empty
};
inline constexpr size_t kMostProducts = 8;  // with one x, in one call

class ProductKernels {
 public:
  // x [T,in]; w [out,in]; y [T,out]: y = x w^T
  virtual void LinearForward(const Tensor& x, const PreparedWeight& w, Tensor& y) = 0;
  // Several products with the same x, 1 ... kMostProducts, and their adapters.
  virtual void LinearForwards(const Tensor& x, std::span<LinearProduct> products) = 0;
  // A gated feed-forward layer of which nothing but y is kept: y = h down^T,
  // h = f(x gate^T) * (x up^T). x [T,in]; gate, up [F,in]; down [out,F]; y [T,out].
  virtual void FeedForward(Activation activation, const Tensor& x, const PreparedWeight& gate,
                           const PreparedWeight& up, const PreparedWeight& down, Tensor& y) = 0;
  // dy [T,out]; dx [T,in]: dx += dy w
  virtual void LinearInputGrad(const Tensor& dy, const PreparedWeight& w, Tensor& dx) = 0;
  // Of LinearForwards, with du = scale * dy b: db += dy^T u, da += du^T input, and, where dx is
  // given, dx (+= with `add`) the sum over the layers of dy w + du a; or `dropped` = du a instead
  // of the latter.
  virtual void LinearGrads(std::span<LinearGradient> layers, Tensor* dx, bool add) = 0;
  // Dense: c [M,N] = alpha * op(a) op(b) + beta * c. op transposes when asked.
  // In f32 (the reference: f64) whatever weights are computed in.
  virtual void Gemm(bool transpose_a, bool transpose_b, float alpha, const Tensor& a,
                    const Tensor& b, float beta, Tensor& c) = 0;

 protected:
  ~ProductKernels() = default;
};

}  // namespace retort
