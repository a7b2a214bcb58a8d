// SPDX-License-Identifier: Apache-2.0
// Products of activations with frozen weights and their adapters, and dense products. The prepared
// weight determines the arithmetic of its products. Conventions as in tensor/backend.h.
#pragma once

#include <span>

#include "tensor/kernels/elementwise.h"
#include "tensor/prepared.h"
#include "tensor/tensor.h"

namespace retort {

// The adapter of a weight adds u b^T to the product, u = scale * input a^T. a is empty if there is
// none.
struct AdapterProduct {
  Tensor a, b;  // [R,in], [out,R]
  float scale = 0;
  Tensor input;  // [T,in]: x, or x after dropout
  Tensor u;      // [T,R]: written by the forward product, read by its gradient
};
// One of several products with the same x: y = x w^T plus the adapter's part.
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
  Tensor da, db;   // gradients of the adapter's a and b: +=
  Tensor dropped;  // [T,in]: the gradient of the adapter's input if that was not x itself, or empty
};
inline constexpr size_t kMostProducts = 8;  // at most, with the same x in one call

class ProductKernels {
 public:
  // x [T,in]; w [out,in]; y [T,out]: y = x w^T
  virtual void LinearForward(const Tensor& x, const PreparedWeight& w, Tensor& y) = 0;
  // Several products with the same x, 1 ... kMostProducts, and their adapters.
  virtual void LinearForwards(const Tensor& x, std::span<LinearProduct> products) = 0;
  // What LinearForwards adds for the adapter, to a product with w that is there: for rows of x that
  // have an adapter of their own. y += u b^T, u = scale * input a^T. y [T,out]
  virtual void AddAdapter(const PreparedWeight& w, AdapterProduct& adapter, Tensor& y) = 0;
  // A gated feed-forward layer that keeps only y (for inference): y = h down^T,
  // h = f(x gate^T) * (x up^T). x [T,in]; gate, up [F,in]; down [out,F]; y [T,out].
  virtual void FeedForward(Activation activation, const Tensor& x, const PreparedWeight& gate,
                           const PreparedWeight& up, const PreparedWeight& down, Tensor& y) = 0;
  // dy [T,out]; dx [T,in]: dx += dy w
  virtual void LinearInputGrad(const Tensor& dy, const PreparedWeight& w, Tensor& dx) = 0;
  // The gradient of LinearForwards. With du = scale * dy b: db += dy^T u, da += du^T input. If dx
  // is given, dx = (+= with `add`) the sum over the layers of dy w + du a; for a layer with
  // `dropped`, du a is written there instead of being added to dx.
  virtual void LinearGrads(std::span<LinearGradient> layers, Tensor* dx, bool add) = 0;
  // The Euclidean norms of the rows of a weight with its adapter (DoRA, arXiv 2402.09353): norms
  // [out], norms[o] = |w[o,:] + scale * b[o,:] a|. w [out,in], a [R,in], b [out,R].
  virtual void AdaptedNorms(const PreparedWeight& w, const Tensor& a, const Tensor& b, float scale,
                            Tensor& norms) = 0;
  // Dense: c [M,N] = alpha * op(a) op(b) + beta * c; op(m) is m or its transpose.
  // Always in f32 (the reference: f64), independent of the arithmetic of weights.
  virtual void Gemm(bool transpose_a, bool transpose_b, float alpha, const Tensor& a,
                    const Tensor& b, float beta, Tensor& c) = 0;

 protected:
  ~ProductKernels() = default;
};

}  // namespace retort
