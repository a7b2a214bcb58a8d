// SPDX-License-Identifier: Apache-2.0
// The ops of a mixture of experts: gradients against central differences, and a whole mixture
// against values computed by hand.
#include "tests/autograd/gradient_support.h"

namespace retort {
namespace {

class ExpertsTest : public GradientTest {
 protected:
  // Each expert's tokens and where their weights lie.
  std::vector<ops::ExpertRows> RowsOf(const ops::Routing& routing, int64_t experts, int used) {
    const std::vector<int32_t> chosen = backend_->ToHost<int32_t>(routing.experts);
    std::vector<ops::ExpertRows> parts;
    for (int64_t e = 0; e < experts; ++e) {
      std::vector<int32_t> rows, places;
      for (size_t i = 0; i < chosen.size(); ++i) {
        if (chosen[i] != e) continue;
        rows.push_back(static_cast<int32_t>(i) / used);
        places.push_back(static_cast<int32_t>(i));
      }
      parts.push_back({{}, Numbers(rows), Numbers(places)});
    }
    return parts;
  }
};

TEST_F(ExpertsTest, Route) {
  Parameter& logits = Make("logits", {6, 5});
  for (const bool renormalise : {false, true}) {
    SCOPED_TRACE(renormalise);
    ExpectOp([&](Context& c) { return ops::Route(c, logits.var(), {3, renormalise}).weights; });
  }
}

TEST_F(ExpertsTest, RouteByGroupsAndSigmoids) {
  Parameter& logits = Make("logits", {6, 8});
  Context plain{*backend_};
  for (const bool renormalise : {false, true}) {
    for (const auto score : {RouteRule::Score::kSoftmax, RouteRule::Score::kSigmoid}) {
      RouteRule rule{3, renormalise, score, 2.5f, 4, 2, RouteRule::GroupScore::kBestTwo};
      rule.bias = backend_->FromDoubles(std::vector<double>{0, 9, 0, 0, 0, 0, -9, -9}, {8});
      ExpectOp([&](Context& c) { return ops::Route(c, logits.var(), rule).weights; });
      // The bias makes expert 1 the best of all, leaves out the last group, and is in no weight.
      const ops::Routing routing = ops::Route(plain, logits.var(), rule);
      const std::vector<int32_t> experts = backend_->ToHost<int32_t>(routing.experts);
      const std::vector<double> weights = backend_->ToDoubles(routing.weights.value);
      for (size_t i = 0; i < experts.size(); ++i) {
        EXPECT_LT(experts[i], 6);
        EXPECT_LE(weights[i], 2.5);
        if (i % 3 == 0) {
          EXPECT_EQ(experts[i], 1);
        }
      }
    }
  }
}

// Renormalised, the one expert always has weight 1; else its probability.
TEST_F(ExpertsTest, RouteToOneExpert) {
  Parameter& logits = Make("logits", {6, 5});
  ExpectOp([&](Context& c) { return ops::Route(c, logits.var(), {1, false}).weights; });
  Context plain{*backend_};
  for (double w : backend_->ToDoubles(ops::Route(plain, logits.var(), {1, true}).weights.value))
    EXPECT_EQ(w, 1);
}

// A row that is named twice, a token that nobody answers, a part without rows and one that is
// frozen.
TEST_F(ExpertsTest, Combine) {
  const Var frozen{Make("frozen", {1, 4}).value}, none{backend_->New({0, 4})};
  made_.clear();
  Parameter &a = Make("a", {3, 4}), &b = Make("b", {2, 4}), &weights = Make("weights", {4, 2});
  ExpectOp([&](Context& c) {
    return ops::Combine(c, 4,
                        {{a.var(), Numbers({0, 2, 0}), Numbers({1, 4, 0})},
                         {none, Numbers({}), Numbers({})},
                         {b.var(), Numbers({2, 1}), Numbers({7, 2})},
                         {frozen, Numbers({1}), Numbers({3})}},
                        weights.var());
  });
}

// Router, experts and weights together, as a block uses them.
TEST_F(ExpertsTest, AMixtureOfLinearExperts) {
  constexpr int64_t kExperts = 4, kTokens = 7, kWidth = 5;
  constexpr int kUsed = 2;
  Parameter &x = Make("x", {kTokens, kWidth}), &router = Make("router", {kExperts, kWidth});
  std::vector<Parameter*> experts;
  for (int64_t e = 0; e < kExperts; ++e) experts.push_back(&Make(Cat("expert", e), {3, kWidth}));
  for (const bool renormalise : {false, true}) {
    SCOPED_TRACE(renormalise);
    const auto mixture = [&](Context& c) {
      const ops::Routing routing =
          ops::Route(c, ops::Linear(c, x.var(), router.var()), {kUsed, renormalise});
      std::vector<ops::ExpertRows> parts = RowsOf(routing, kExperts, kUsed);
      for (size_t e = 0; e < parts.size(); ++e) {
        parts[e].y = ops::Linear(c, ops::Gather(c, x.var(), parts[e].rows), experts[e]->var());
      }
      return ops::Combine(c, kTokens, std::move(parts), routing.weights);
    };
    ExpectOp(mixture);
  }
}

// One token and two experts at odds of 1 : 3.
TEST_F(ExpertsTest, ByHand) {
  Context c{*backend_};
  const Var logits{backend_->FromDoubles(std::vector<double>{0, std::log(3.0)}, {1, 2})};
  const ops::Routing routing = ops::Route(c, logits, {2, true});
  EXPECT_EQ(backend_->ToHost<int32_t>(routing.experts), (std::vector<int32_t>{1, 0}));
  const Var one{backend_->FromDoubles(std::vector<double>{1, 2}, {1, 2})};
  const Var ten{backend_->FromDoubles(std::vector<double>{10, 20}, {1, 2})};
  const Var out =
      ops::Combine(c, 1, {{one, Numbers({0}), Numbers({1})}, {ten, Numbers({0}), Numbers({0})}},
                   routing.weights);
  const std::vector<double> got = backend_->ToDoubles(out.value);
  EXPECT_NEAR(got[0], 0.25 * 1 + 0.75 * 10, 1e-12);
  EXPECT_NEAR(got[1], 0.25 * 2 + 0.75 * 20, 1e-12);
}

}  // namespace
}  // namespace retort
