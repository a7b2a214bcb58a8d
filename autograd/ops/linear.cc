// SPDX-License-Identifier: Apache-2.0
// A linear layer, frozen with an optional low-rank adapter, or trained.
//
//   shapes:   x [T,in], W [out,in], A [R,in], B [out,R]
//   frozen:   y = x W^T + bias + u B^T,   u = s drop(x) A^T
//             dx += dy W + undrop(du A),    du = s dy B
//             dB += dy^T u,   dA += du^T drop(x),   dbias += column sums of dy
//   trained:  y = x W^T + bias,   dx += dy W,   dW += dy^T x,   dbias as above
//
// Layers that share x form one step: one backend call computes all their outputs, and one their dx.
// Saves x (shared with the op that produced it) and u [T,R]; drop(x) is recomputed from its mask.
// A frozen W has no gradient; a 4-bit W is only ever multiplied with x and dy.
#include <array>
#include <optional>
#include <vector>

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

// A layer's adapter in the form the kernels take; u [T,R] holds its first product.
AdapterProduct ProductOf(Backend& k, const Tensor& x, const LowRank& adapter, Tensor u) {
  AdapterProduct p{adapter.a.value, adapter.b.value, adapter.scale, x, std::move(u)};
  if (adapter.mask.rate > 0) {
    p.input = k.New(x.shape());
    k.Dropout(x, adapter.mask, p.input);
  }
  return p;
}

// What the backward pass needs of one layer.
struct Saved {
  const PreparedWeight* w;
  Var bias;
  std::optional<LowRank> adapter;
  Tensor u;
};

LinearGradient GradientOf(Backend& k, const Var& x, const Saved& saved, const Tensor& dy) {
  LinearGradient g{saved.w, dy, {}, {}, {}, {}};
  if (saved.bias.wants_gradient()) k.BiasGrad(dy, saved.bias.GradientSum(k));
  if (!saved.adapter) return g;
  g.adapter = ProductOf(k, x.value, *saved.adapter, saved.u);
  g.da = saved.adapter->a.GradientSum(k), g.db = saved.adapter->b.GradientSum(k);
  if (saved.adapter->mask.rate > 0 && x.wants_gradient()) g.dropped = k.New(x.shape());
  return g;
}

// What one layer adds to the gradient of an A that a layer before it has too.
struct SharedGradient {
  Tensor part, sum;
};

// A call sums all gradients at once, so the last layer's dA is made apart if A is not its own.
void SeparateShared(Backend& k, const std::vector<const LowRank*>& adapters, LinearGradient& last,
                    std::vector<SharedGradient>& shared) {
  for (size_t i = 0; i + 1 < adapters.size(); ++i) {
    if (!adapters[i] || !adapters.back() || adapters[i]->a.gradient != adapters.back()->a.gradient)
      continue;
    const SharedGradient& s =
        shared.emplace_back(SharedGradient{k.Zeros(last.da.shape()), last.da});
    last.da = s.part;
    return;
  }
}

void Backward(Backend& k, const Var& x, std::span<const Saved> layers, std::span<const Tensor> dy) {
  std::vector<LinearGradient> gradients;
  std::vector<const LowRank*> adapters;
  std::vector<SharedGradient> shared;
  for (size_t i = 0; i < layers.size(); ++i) {
    if (!dy[i]) continue;
    gradients.push_back(GradientOf(k, x, layers[i], dy[i]));
    adapters.push_back(layers[i].adapter ? &*layers[i].adapter : nullptr);
    SeparateShared(k, adapters, gradients.back(), shared);
  }
  if (x.wants_gradient()) {
    const auto [dx, add] = x.GradientToWrite(k);
    k.LinearGrads(gradients, &dx, add);
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (gradients[i].dropped) k.DropoutGrad(gradients[i].dropped, adapters[i]->mask, dx);
    }
  } else {
    k.LinearGrads(gradients, nullptr, false);
  }
  for (SharedGradient& s : shared) k.Accumulate(s.part, s.sum);
}

}  // namespace

Var Linear(Context& context, const Var& x, const PreparedWeight& w, const Var& bias,
           const LowRank* adapter) {
  const FrozenLayer layer{&w, bias, adapter};
  Var y;
  Linears(context, x, {&layer, 1}, {&y, 1});
  return y;
}

void Linears(Context& context, const Var& x, std::span<const FrozenLayer> layers,
             std::span<Var> y) {
  constexpr size_t kMost = 4;
  RETORT_CHECK(!layers.empty() && layers.size() <= kMost && y.size() == layers.size(),
               "linear: ", layers.size(), " layers into ", y.size());
  Backend& k = context.backend;
  const int64_t tokens = x.value.rows();
  bool wanted = x.wants_gradient();
  std::array<LinearProduct, kMost> products;
  for (size_t i = 0; i < layers.size(); ++i) {
    const PreparedWeight& w = *layers[i].w;
    const LowRank* adapter = layers[i].adapter;
    CheckShapes(x, w.rows(), w.cols(), layers[i].bias);
    products[i] = {&w, k.New({tokens, w.rows()}), {}};
    wanted = wanted || layers[i].bias.wants_gradient();
    if (!adapter) continue;
    CheckShapes(*adapter, w.rows(), w.cols());
    products[i].adapter = ProductOf(k, x.value, *adapter, k.New({tokens, adapter->a.value.rows()}));
    wanted = wanted || adapter->a.wants_gradient();
  }
  k.LinearForwards(x.value, std::span(products).first(layers.size()));
  for (size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].bias.value) k.AddBias(products[i].y, layers[i].bias.value);
    y[i] = {products[i].y};
  }
  if (!context.tape || !wanted) return;

  std::vector<Saved> saved;
  for (size_t i = 0; i < layers.size(); ++i) {
    Saved& s = saved.emplace_back(Saved{layers[i].w, layers[i].bias, {}, products[i].adapter.u});
    if (layers[i].adapter) s.adapter = *layers[i].adapter;
  }
  context.tape->RecordAll(y, [x, saved = std::move(saved)](Backend& b, std::span<const Tensor> dy) {
    Backward(b, x, saved, dy);
  });
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
