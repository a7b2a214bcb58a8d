// SPDX-License-Identifier: Apache-2.0
// A linear layer, frozen with an optional low-rank adapter, or trained.
//
//   frozen:   y = x W^T + bias + s u B^T,   u = drop(x) A^T          x [T,in], W [out,in], A [R,in], B [out,R]
//             dx += dy W + undrop(du A),    du = s dy B
//             dB += s dy^T u,   dA += du^T drop(x),   dbias += column sums of dy
//   trained:  y = x W^T + bias,   dx += dy W,   dW += dy^T x,   dbias as above
//
// Saves x (shared with whoever made it) and u [T,R]; drop(x) is made again from its mask.
// A frozen W has no gradient, and in 4 bits only its products with x and dy are ever needed.
#include <array>

#include "autograd/ops.h"

namespace retort::ops {
namespace {

void CheckShapes(const Var& x, int64_t out, int64_t in, const Var& bias) {
  RETORT_CHECK(x.value.cols() == in, "linear: x ", x.shape().text(), ", W [", out, ", ", in, "]");
  RETORT_CHECK(!bias.value || bias.value.elements() == out, "linear: W [", out, ", ", in,
               "], bias ", bias.shape().text());
}

void CheckShapes(const LowRank& adapter, int64_t out, int64_t in) {
  const int64_t rank = adapter.a.value.rows();
  RETORT_CHECK(adapter.a.shape() == Shape({rank, in}) && adapter.b.shape() == Shape({out, rank}),
               "adapter: A ", adapter.a.shape().text(), ", B ", adapter.b.shape().text(),
               " beside W [", out, ", ", in, "]");
}

// The adapter's input: x itself when nothing is dropped.
Tensor Dropped(Backend& k, const Tensor& x, const DropoutMask& mask) {
  if (mask.rate == 0) return x;
  Tensor y = k.New(x.shape());
  k.Dropout(x, mask, y);
  return y;
}

// y += s u B^T; returns u = drop(x) A^T.
Tensor AddLowRank(Backend& k, const Tensor& x, const LowRank& adapter, Tensor& y) {
  Tensor u = k.New({x.rows(), adapter.a.value.rows()});
  k.Gemm(false, true, 1, Dropped(k, x, adapter.mask), adapter.a.value, 0, u);
  k.Gemm(false, true, adapter.scale, u, adapter.b.value, 1, y);
  return u;
}

void LowRankGrad(Backend& k, const Tensor& dy, const Var& x, const LowRank& adapter,
                 const Tensor& u) {
  k.Gemm(true, false, adapter.scale, dy, u, 1, adapter.b.GradientSum(k));
  Tensor du = k.New(u.shape());
  k.Gemm(false, false, adapter.scale, dy, adapter.b.value, 0, du);
  k.Gemm(true, false, 1, du, Dropped(k, x.value, adapter.mask), 1, adapter.a.GradientSum(k));
  if (!x.wants_gradient()) return;
  if (adapter.mask.rate == 0) {
    k.Gemm(false, false, 1, du, adapter.a.value, 1, x.GradientSum(k));
  } else {
    Tensor dropped = k.New(x.shape());
    k.Gemm(false, false, 1, du, adapter.a.value, 0, dropped);
    k.DropoutGrad(dropped, adapter.mask, x.GradientSum(k));
  }
}

// What comes after y = x w^T: bias and adapter, and the record of it all.
Var Finish(Context& context, const Var& x, const FrozenLayer& layer, Tensor y) {
  Tensor u;
  if (layer.bias.value) context.backend.AddBias(y, layer.bias.value);
  if (layer.adapter) u = AddLowRank(context.backend, x.value, *layer.adapter, y);
  if (!context.tape) return {std::move(y)};

  const LowRank low_rank = layer.adapter ? *layer.adapter : LowRank{};
  return context.Record(std::move(y), {&x, &layer.bias, &low_rank.a},
                        [x, w = layer.w, bias = layer.bias, low_rank, u](Backend& k,
                                                                         const Tensor& dy) {
                          if (x.wants_gradient()) k.LinearInputGrad(dy, *w, x.GradientSum(k));
                          if (bias.wants_gradient()) k.BiasGrad(dy, bias.GradientSum(k));
                          if (u) LowRankGrad(k, dy, x, low_rank, u);
                        });
}

}  // namespace

Var Linear(Context& context, const Var& x, const Weight& w, const Var& bias,
           const LowRank* adapter) {
  const FrozenLayer layer{&w, bias, adapter};
  Var y;
  Linears(context, x, {&layer, 1}, {&y, 1});
  return y;
}

void Linears(Context& context, const Var& x, std::span<const FrozenLayer> layers,
             std::span<Var> y) {
  constexpr size_t kMost = 4;
  RETORT_CHECK(!layers.empty() && layers.size() <= kMost && y.size() == layers.size(), "linear: ",
               layers.size(), " layers into ", y.size());
  std::array<LinearProduct, kMost> products;
  for (size_t i = 0; i < layers.size(); ++i) {
    const Weight& w = *layers[i].w;
    CheckShapes(x, w.rows(), w.cols(), layers[i].bias);
    if (layers[i].adapter) CheckShapes(*layers[i].adapter, w.rows(), w.cols());
    products[i] = {&w, context.backend.New({x.value.rows(), w.rows()})};
  }
  context.backend.LinearForwards(x.value, std::span(products).first(layers.size()));
  for (size_t i = 0; i < layers.size(); ++i) {
    y[i] = Finish(context, x, layers[i], std::move(products[i].y));
  }
}

Var Linear(Context& context, const Var& x, const Var& w, const Var& bias) {
  CheckShapes(x, w.value.rows(), w.value.cols(), bias);

  Tensor y = context.backend.New({x.value.rows(), w.value.rows()});
  context.backend.Gemm(false, true, 1, x.value, w.value, 0, y);
  if (bias.value) context.backend.AddBias(y, bias.value);

  return context.Record(y, {&x, &w, &bias}, [x, w, bias](Backend& k, const Tensor& dy) {
    if (x.wants_gradient()) k.Gemm(false, false, 1, dy, w.value, 1, x.GradientSum(k));
    if (w.wants_gradient()) k.Gemm(true, false, 1, dy, x.value, 1, w.GradientSum(k));
    if (bias.wants_gradient()) k.BiasGrad(dy, bias.GradientSum(k));
  });
}

}  // namespace retort::ops
