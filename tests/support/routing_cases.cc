// SPDX-License-Identifier: Apache-2.0
// Choosing experts, and adding their outputs to the tokens.
#include "tests/support/stage.h"

namespace retort {
namespace {

struct Router {
  int64_t tokens, experts;
  RouteRule rule;
  bool biased = false;
};

std::string VariantOf(const Router& r) {
  return Cat("t", r.tokens, "_e", r.experts, "_u", r.rule.used,
             r.rule.renormalise ? "_renormalised" : "",
             r.rule.score == RouteRule::Score::kSigmoid ? "_sigmoid" : "",
             r.rule.groups > 1 ? Cat("_g", r.rule.used_groups, "of", r.rule.groups) : "",
             r.rule.group_score == RouteRule::GroupScore::kBestTwo ? "_two" : "",
             r.biased ? "_biased" : "");
}

// Every third token's logits are integers, so that many of its experts are equally probable.
OpCase RouteCase(const Router& r) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    std::vector<float> values = stage->Normal(r.tokens * r.experts, 2);
    for (size_t i = 0; i < values.size(); ++i) {
      if (i / static_cast<size_t>(r.experts) % 3 == 0)
        values[i] = static_cast<float>(static_cast<int>(values[i]));
    }
    const Tensor logits = stage->Input("logits", {r.tokens, r.experts}, values);
    RouteRule rule = r.rule;
    if (r.biased) rule.bias = stage->Input("bias", {r.experts}, 0.5);
    Tensor probabilities = stage->Output("probabilities", {r.tokens, r.experts});
    Tensor weights = stage->Output("weights", {r.tokens, r.rule.used});
    Tensor experts = stage->IndexOutput("experts", weights.elements()).Reshaped(weights.shape());
    return RunOn(stage,
                 [=, &b]() mutable { b.Route(rule, logits, probabilities, experts, weights); });
  };
  return {"route", VariantOf(r), 1e-6, Compute::kF32, 0, 8.0 * r.tokens * r.experts, prepare};
}

// The gradient's inputs must be consistent, so they are computed by the double reference.
OpCase RouteGradCase(const Router& r) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Shape chosen_shape = {r.tokens, r.rule.used}, all_shape = {r.tokens, r.experts};
    const std::unique_ptr<Backend> exact = MakeReferenceBackend();
    Tensor exact_p = exact->New(all_shape), exact_weights = exact->New(chosen_shape);
    Tensor exact_experts = exact->New(chosen_shape, DType::kI32);
    exact->Route(r.rule, exact->FromFloats(stage->Normal(all_shape.elements(), 2), all_shape),
                 exact_p, exact_experts, exact_weights);
    const Tensor experts =
        stage->Indices(exact->ToHost<int32_t>(exact_experts)).Reshaped(chosen_shape);
    const Tensor dweights = stage->Input("dweights", chosen_shape);
    const Tensor probabilities = stage->Input("probabilities", all_shape, exact->ToFloats(exact_p));
    Tensor dlogits = stage->InOut("dlogits", all_shape);
    return RunOn(stage, [=, &b]() mutable {
      b.RouteGrad(r.rule, dweights, probabilities, experts, dlogits);
    });
  };
  return {"route_grad", VariantOf(r), 1e-6, Compute::kF32, 0, 12.0 * r.tokens * r.experts, prepare};
}

// More rows than tokens, so that several are added to the same token; more places than rows, in
// random order.
struct Places {
  Tensor rows, places;
};
Places PlacesOf(Stage& stage, int64_t rows, int64_t tokens) {
  return {stage.Indices(stage.Below(rows, tokens)), stage.Indices(stage.Below(rows, 2 * rows))};
}

OpCase WeightedCase(int64_t rows, int64_t cols, int64_t tokens) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Places at = PlacesOf(*stage, rows, tokens);
    const Tensor x = stage->Input("x", {rows, cols});
    const Tensor weights = stage->Input("weights", {rows, 2});
    Tensor out = stage->InOut("out", {tokens, cols});
    return RunOn(stage,
                 [=, &b]() mutable { b.AddWeightedRows(x, weights, at.rows, at.places, out); });
  };
  return {"weighted_rows",
          Cat("n", rows, "_c", cols, "_t", tokens),
          1e-6,
          Compute::kF32,
          2.0 * rows * cols,
          12.0 * rows * cols,
          prepare};
}

OpCase WeightedGradCase(int64_t rows, int64_t cols, int64_t tokens, bool with_weights) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Places at = PlacesOf(*stage, rows, tokens);
    const Tensor dout = stage->Input("dout", {tokens, cols});
    const Tensor x = stage->Input("x", {rows, cols});
    const Tensor weights = stage->Input("weights", {rows, 2});
    Tensor dx = stage->Output("dx", {rows, cols});
    Tensor dweights = stage->InOut("dweights", {rows, 2});
    return RunOn(stage, [=, &b]() mutable {
      b.WeightedRowsGrad(dout, x, weights, at.rows, at.places, dx,
                         with_weights ? &dweights : nullptr);
    });
  };
  return {"weighted_rows_grad",
          Cat("n", rows, "_c", cols, "_t", tokens, with_weights ? "_weights" : ""),
          1e-6,
          Compute::kF32,
          4.0 * rows * cols,
          12.0 * rows * cols,
          prepare};
}

}  // namespace

std::vector<OpCase> RoutingCases() {
  std::vector<OpCase> cases;
  for (const bool renormalise : {false, true}) {
    for (Router router : {Router{1, 1, {1}},
                          {1, 8, {2}},
                          {17, 8, {2}},
                          {129, 128, {8}},
                          {64, 5, {5}},
                          {33, 60, {4}}}) {
      router.rule.renormalise = renormalise;
      cases.push_back(RouteCase(router));
      cases.push_back(RouteGradCase(router));
    }
  }
  constexpr auto kSigmoid = RouteRule::Score::kSigmoid, kSoftmax = RouteRule::Score::kSoftmax;
  constexpr auto kBest = RouteRule::GroupScore::kBest, kTwo = RouteRule::GroupScore::kBestTwo;
  for (const Router& router : {Router{17, 8, {3, true, kSigmoid}},
                               {33, 64, {6, false, kSoftmax, 16, 8, 3, kBest}},
                               {33, 64, {8, true, kSigmoid, 2.5f, 8, 4, kTwo}, true},
                               {9, 1, {1, false, kSigmoid}}}) {
    cases.push_back(RouteCase(router));
    cases.push_back(RouteGradCase(router));
  }
  struct Size {
    int64_t rows, cols, tokens;
  };
  for (const Size& s :
       {Size{0, 8, 3}, {1, 1, 1}, {17, 65, 5}, {129, 172, 64}, {64, 576, 2}, {300, 64, 150}}) {
    cases.push_back(WeightedCase(s.rows, s.cols, s.tokens));
    for (const bool weights : {false, true}) {
      cases.push_back(WeightedGradCase(s.rows, s.cols, s.tokens, weights));
    }
  }
  return cases;
}

}  // namespace retort
