// SPDX-License-Identifier: Apache-2.0
// Several layers over one x, some of them with adapters, forward and backward. Compares the fast
// kernels, which compute them together, with the plain sequence of products.
#include "tests/support/stage.h"

namespace retort {
namespace {

constexpr float kScale = 0.75f;
constexpr int64_t kIn = 192;

struct LayerCase {
  int64_t out, rank;
  bool dropped;
};  // rank 0: no adapter
// Odd sizes, a layer without an adapter, and a layer whose adapter has another input than x.
constexpr LayerCase kLayers[] = {{65, 16, false}, {130, 0, false}, {64, 5, false}, {33, 40, true}};

struct Layers {
  std::vector<PreparedWeight> weights;
  std::vector<AdapterProduct> adapters;  // without u
};

std::shared_ptr<Layers> MakeLayers(Stage& stage, const Tensor& x) {
  auto out = std::make_shared<Layers>();
  for (const auto& [rows, rank, dropped] : kLayers) {
    out->weights.push_back(
        stage.backend().Prepare(MakeWeight(stage, WeightFormat::kBF16, rows, kIn, false)));
    AdapterProduct& adapter = out->adapters.emplace_back();
    if (rank == 0) continue;
    const std::string name = Cat("layer ", out->weights.size(), " ");
    adapter.a = stage.Input(name + "a", {rank, kIn}, 0.07);
    adapter.b = stage.Input(name + "b", {rows, rank}, 0.2);
    adapter.scale = kScale;
    adapter.input = dropped ? stage.Input(name + "input", x.shape()) : x;
  }
  return out;
}

// bf16 rounds x, w, a, u and b, with a root mean square error of 1.7e-3 each.
double ToleranceOf(Compute compute) { return compute == Compute::kF32 ? 2e-6 : 4e-3; }

OpCase ForwardCase(Compute compute, int64_t tokens) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor x = stage->Input("x", {tokens, kIn});
    const auto layers = MakeLayers(*stage, x);
    std::vector<LinearProduct> products;
    for (size_t i = 0; i < std::size(kLayers); ++i) {
      products.push_back({&layers->weights[i], stage->Output(Cat("y", i), {tokens, kLayers[i].out}),
                          layers->adapters[i]});
      if (kLayers[i].rank > 0)
        products[i].adapter.u = stage->Output(Cat("u", i), {tokens, kLayers[i].rank});
    }
    return RunOn(stage, [=, &b]() mutable {
      (void)layers;
      b.LinearForwards(x, products);
    });
  };
  return {"adapters", Cat(NameOf(compute), "_t", tokens), ToleranceOf(compute), compute, 0, 0,
          prepare};
}

// The adapter of some rows, added to a product that is there.
OpCase AddCase(Compute compute, int64_t tokens) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const auto& [out, rank, dropped] = kLayers[0];
    const Tensor x = stage->Input("x", {tokens, kIn});
    const auto w = std::make_shared<PreparedWeight>(
        b.Prepare(MakeWeight(*stage, WeightFormat::kBF16, out, kIn, false)));
    AdapterProduct adapter{stage->Input("a", {rank, kIn}, 0.07),
                           stage->Input("b", {out, rank}, 0.2), kScale, x,
                           stage->Output("u", {tokens, rank})};
    Tensor y = stage->InOut("y", {tokens, out});
    return RunOn(stage, [=, &b]() mutable { b.AddAdapter(*w, adapter, y); });
  };
  return {"adapters_add", Cat(NameOf(compute), "_t", tokens), ToleranceOf(compute), compute, 0, 0,
          prepare};
}

enum class Dx { kNone, kAdd, kOverwrite };

OpCase GradCase(Compute compute, int64_t tokens, Dx kind) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor x = stage->Input("x", {tokens, kIn});
    const auto layers = MakeLayers(*stage, x);
    std::vector<LinearGradient> gradients;
    for (size_t i = 0; i < std::size(kLayers); ++i) {
      const auto& [out, rank, dropped] = kLayers[i];
      LinearGradient& g =
          gradients.emplace_back(LinearGradient{&layers->weights[i],
                                                stage->Input(Cat("dy", i), {tokens, out}),
                                                layers->adapters[i],
                                                {},
                                                {},
                                                {}});
      if (rank == 0) continue;
      g.adapter.u = stage->Input(Cat("u", i), {tokens, rank});
      g.da = stage->InOut(Cat("da", i), {rank, kIn});
      g.db = stage->InOut(Cat("db", i), {out, rank});
      if (dropped && kind != Dx::kNone) g.dropped = stage->Output("dropped", x.shape());
    }
    Tensor dx;
    if (kind == Dx::kAdd) dx = stage->InOut("dx", x.shape());
    if (kind == Dx::kOverwrite) dx = stage->Output("dx", x.shape());
    return RunOn(stage, [=, &b]() mutable {
      (void)layers;
      b.LinearGrads(gradients, dx ? &dx : nullptr, kind == Dx::kAdd);
    });
  };
  const char* name = kind == Dx::kNone ? "alone" : kind == Dx::kAdd ? "add" : "overwrite";
  return {"adapters_grad",
          Cat(NameOf(compute), "_t", tokens, "_", name),
          ToleranceOf(compute),
          compute,
          0,
          0,
          prepare};
}

}  // namespace

std::vector<OpCase> AdapterCases() {
  std::vector<OpCase> cases;
  for (const Compute compute : {Compute::kF32, Compute::kBF16}) {
    for (const int64_t tokens : {1, 21, 70, 300}) {
      cases.push_back(ForwardCase(compute, tokens));
      cases.push_back(AddCase(compute, tokens));
      for (const Dx kind : {Dx::kNone, Dx::kAdd, Dx::kOverwrite})
        cases.push_back(GradCase(compute, tokens, kind));
    }
  }
  return cases;
}

}  // namespace retort
