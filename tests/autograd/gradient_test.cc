// SPDX-License-Identifier: Apache-2.0
// The gradients of all ops against central differences, in double, within 1e-6.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "tests/autograd/gradient_support.h"

namespace retort {
namespace {

Var Gate(Context& c, const Var& gate, const Var& up) {
  return ops::GatedActivation(c, Activation::kSilu, gate, up);
}

TEST_F(GradientTest, Add) {
  Parameter &a = Make("a", {3, 5}), &b = Make("b", {3, 5});
  ExpectOp([&](Context& c) { return ops::Add(c, a.var(), b.var()); });
}

TEST_F(GradientTest, AValueUsedTwiceGathersBothGradients) {
  Parameter& a = Make("a", {3, 5});
  ExpectOp([&](Context& c) {
    const Var doubled = ops::Add(c, a.var(), a.var());
    return Gate(c, doubled, a.var());
  });
}

// A sum hands its gradient on as it is to one of its operands: what that one gathers besides must
// not reach the other.
TEST_F(GradientTest, GradientsThatAreHandedOnStayApart) {
  Parameter &a = Make("a", {3, 5}), &b = Make("b", {3, 5});
  ExpectOp([&](Context& c) {
    const Var m = Gate(c, a.var(), b.var()), n = Gate(c, b.var(), a.var());
    const Var last_m = Gate(c, m, m), last_n = Gate(c, n, a.var());
    const Var both = ops::Add(c, ops::Add(c, m, n), ops::Add(c, n, m));
    return ops::Add(c, ops::Add(c, last_m, both), last_n);
  });
}

TEST_F(GradientTest, OfOneOperandBesideAFrozenOne) {
  const Var frozen{Make("frozen", {3, 5}).value};
  made_.clear();
  Parameter& x = Make("x", {3, 5}, 0.5);
  ExpectOp([&](Context& c) { return ops::Add(c, frozen, x.var()); });
  ExpectOp([&](Context& c) { return ops::Add(c, x.var(), frozen); });
  ExpectOp([&](Context& c) { return Gate(c, frozen, x.var()); });
  ExpectOp([&](Context& c) { return Gate(c, x.var(), frozen); });
}

TEST_F(GradientTest, Scale) {
  Parameter& x = Make("x", {3, 5});
  // x is used beside it: what it gathers must not be scaled too.
  ExpectOp([&](Context& c) { return ops::Add(c, ops::Scale(c, x.var(), 1.75f), x.var()); });
}

// A part that is used twice, one that is used once and one that nobody uses.
TEST_F(GradientTest, Split) {
  Parameter& x = Make("x", {3, 11});
  ExpectOp([&](Context& c) {
    std::array<Var, 3> parts;
    ops::Split(c, x.var(), std::array<int64_t, 3>{4, 3, 4}, parts);
    const Var again = ops::Add(c, parts[2], parts[0]);
    return Gate(c, again, parts[0]);
  });
}

TEST_F(GradientTest, Gather) {
  Parameter& x = Make("x", {5, 4});
  ExpectOp([&](Context& c) { return ops::Gather(c, x.var(), Numbers({3, 0, 3, 4, 1, 2})); });
}

TEST_F(GradientTest, Embedding) {
  Parameter& table = Make("table", {7, 4});
  ExpectOp([&](Context& c) {
    return ops::Embedding(c, table.var(), Numbers({3, 0, 3, 6, 1, 2, 4, 5}));
  });
}

TEST_F(GradientTest, RmsNormOverRowsAndOverHeads) {
  Parameter &x = Make("x", {4, 12}), &gain = Make("gain", {12}),
            &head_gain = Make("head_gain", {3});
  ExpectOp([&](Context& c) {
    const Var y = ops::RmsNorm(c, x.var(), gain.var(), 1e-5f, 12);
    return ops::RmsNorm(c, y, head_gain.var(), 1e-5f, 3);
  });
}

TEST_F(GradientTest, LayerNormWithAGainForEachHeadAndABias) {
  Parameter &x = Make("x", {5, 12}), &gain = Make("gain", {12}), &bias = Make("bias", {12});
  ExpectOp([&](Context& c) {
    return ops::AddBias(c, ops::RmsNorm(c, ops::Center(c, x.var(), 4), gain.var(), 1e-2f, 4),
                        bias.var());
  });
}

TEST_F(GradientTest, JoinAndReshape) {
  Parameter &x = Make("x", {3, 8}), &z = Make("z", {6, 3});
  ExpectOp([&](Context& c) {
    const Var rows = ops::Reshape(c, x.var(), {6, 4}), part = z.var();
    return ops::Join(c, {&part, &rows, &part});
  });
}

TEST_F(GradientTest, ActivationWithoutAGate) {
  Parameter& x = Make("x", {4, 7});
  for (const Activation f : {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh})
    ExpectOp([&](Context& c) { return ops::Activate(c, f, x.var()); });
}

TEST_F(GradientTest, FrozenLinearWithBiasAndAdapter) {
  const PreparedWeight w = Frozen(6, 5);
  Parameter &x = Make("x", {4, 5}), &bias = Make("bias", {6}), &a = Make("a", {2, 5}),
            &b = Make("b", {6, 2});
  ExpectOp([&](Context& c) {
    const ops::LowRank low_rank{a.var(), b.var(), 1.5f, {}};
    return ops::Linear(c, x.var(), w, bias.var(), &low_rank);
  });
}

TEST_F(GradientTest, FrozenLinearWithDropout) {
  const PreparedWeight w = Frozen(6, 5);
  Parameter &x = Make("x", {4, 5}), &a = Make("a", {2, 5}), &b = Make("b", {6, 2});
  const Tensor rows = backend_->Upload(std::vector<int64_t>{3, 3, 8, 8});
  const Tensor tokens = Numbers({0, 1, 0, 1});
  ExpectOp([&](Context& c) {
    const ops::LowRank low_rank{a.var(), b.var(), 0.5f, {0.4f, 9, rows, tokens}};
    return ops::Linear(c, x.var(), w, {}, &low_rank);
  });
}

TEST_F(GradientTest, AdapterOnAFrozenInput) {
  const PreparedWeight w = Frozen(6, 5);
  const Var x{Make("unused", {4, 5}).value};
  made_.clear();
  Parameter &a = Make("a", {2, 5}), &b = Make("b", {6, 2});
  ExpectOp([&](Context& c) {
    const ops::LowRank low_rank{a.var(), b.var(), 2.0f, {}};
    return ops::Linear(c, x, w, {}, &low_rank);
  });
}

TEST_F(GradientTest, TrainedLinear) {
  Parameter &x = Make("x", {4, 5}), &w = Make("w", {6, 5}), &bias = Make("bias", {6});
  ExpectOp([&](Context& c) { return ops::Linear(c, x.var(), w.var(), bias.var()); });
}

TEST_F(GradientTest, Rotary) {
  Parameter& x = Make("x", {5, 2 * 6});
  ops::RotaryAngles angles{backend_->New({5, 3}), backend_->New({5, 3})};
  backend_->RotaryTable(Numbers({0, 1, 2, 7, 30}),
                        backend_->Upload(std::vector<double>{1, 0.1, 0.01}), 1.0, angles.cos,
                        angles.sin);
  ExpectOp([&](Context& c) { return ops::Rotary(c, x.var(), angles, 2); });
}

TEST_F(GradientTest, RotaryOfAPartOfEachHead) {
  Parameter& x = Make("x", {5, 2 * 7});
  ops::RotaryAngles angles{backend_->New({5, 2}), backend_->New({5, 2})};
  backend_->RotaryTable(Numbers({0, 1, 2, 7, 30}), backend_->Upload(std::vector<double>{1, 0.1}),
                        1.5, angles.cos, angles.sin);
  for (const RotaryPairs pairs : {RotaryPairs::kHalves, RotaryPairs::kNeighbours}) {
    ExpectOp([&](Context& c) { return ops::Rotary(c, x.var(), angles, 2, pairs); });
  }
}

struct AttentionCase {
  const char* name;
  int heads, kv_heads, window;
  float soft_cap = 0;
};
class AttentionGradientTest : public GradientTest,
                              public ::testing::WithParamInterface<AttentionCase> {};

TEST_P(AttentionGradientTest, OverUnevenRows) {
  const AttentionCase& p = GetParam();
  constexpr int kDim = 4;
  Parameter &q = Make("q", {9, p.heads * kDim}), &k = Make("k", {9, p.kv_heads * kDim}),
            &v = Make("v", {9, p.kv_heads * kDim});
  AttentionLayout layout;  // rows of 5, 1 and 3 tokens
  layout.block_size = 1 << 20;
  layout.runs = {{0, 5, 0, 0}, {5, 1, 0, 1}, {6, 3, 0, 2}};
  layout.block_rows = {0, 5, 6};
  const auto plan = backend_->Plan(layout);
  ExpectOp([&](Context& c) {
    return ops::Attention(c, {p.heads, p.kv_heads, kDim, 0.5f, p.soft_cap, p.window}, plan, q.var(),
                          k.var(), v.var());
  });
}
INSTANTIATE_TEST_SUITE_P(Shapes, AttentionGradientTest,
                         ::testing::Values(AttentionCase{"plain", 2, 2, 0},
                                           AttentionCase{"grouped", 4, 2, 0},
                                           AttentionCase{"shared", 3, 1, 0},
                                           AttentionCase{"window", 2, 1, 2},
                                           AttentionCase{"cap", 4, 2, 0, 0.8f},
                                           AttentionCase{"cap_and_window", 2, 1, 2, 0.8f}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_F(GradientTest, EveryGatedActivation) {
  Parameter &gate = Make("gate", {3, 7}), &up = Make("up", {3, 7});
  for (const Activation f :
       {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh, Activation::kRelu2}) {
    SCOPED_TRACE(static_cast<int>(f));
    ExpectOp([&](Context& c) { return ops::GatedActivation(c, f, gate.var(), up.var()); });
  }
}

TEST_F(GradientTest, CheckpointEqualsItsBody) {
  Parameter &x = Make("x", {3, 5}), &w = Make("w", {5, 5});
  ExpectOp([&](Context& c) {
    return ops::Checkpoint(c, x.var(), [&](Context& inner, const Var& in) {
      const Var y = ops::Linear(inner, in, w.var());
      return ops::Add(inner, in, Gate(inner, y, in));
    });
  });
}

// Each token's loss with a scale of its own, one of them 0; rows out of order and one of them
// twice.
double HeadObjective(Context& c, const Var& x, const auto& head,
                     const ops::HeadTransform& transform = {}) {
  const Tensor rows = c.backend.Upload(std::vector<int32_t>{5, 0, 3, 3});
  const Tensor targets = c.backend.Upload(std::vector<int32_t>{1, 6, 0, 2});
  const std::vector<float> scales = {0.25f, -0.5f, 0, 1.5f};
  const std::vector<double> losses = c.backend.ToHost<double>(ops::HeadLoss(
      c, x, rows, head, ops::CrossEntropy(targets, c.backend.Upload(scales)), transform));
  double sum = 0;
  for (size_t i = 0; i < losses.size(); ++i) sum += scales[i] * losses[i];
  return sum;
}

TEST_F(GradientTest, HeadLossTrained) {
  Parameter &x = Make("x", {6, 4}), &head = Make("head", {7, 4});
  Expect([&](Context& c) { return HeadObjective(c, x.var(), head.var()); });
}

TEST_F(GradientTest, HeadLossFrozen) {
  const PreparedWeight head = Frozen(7, 4);
  Parameter& x = Make("x", {6, 4});
  Expect([&](Context& c) { return HeadObjective(c, x.var(), head); });
}

TEST_F(GradientTest, HeadLossOfTransformedLogits) {
  const PreparedWeight frozen = Frozen(7, 4);
  Parameter &x = Make("x", {6, 4}), &head = Make("head", {7, 4});
  for (const ops::HeadTransform& transform :
       {ops::HeadTransform{0.6f, 0}, {1, 1.5f}, {0.6f, 1.5f}}) {
    SCOPED_TRACE(Cat(transform.scale, ", ", transform.soft_cap));
    Expect([&](Context& c) {
      return HeadObjective(c, x.var(), head.var(), transform) +
             HeadObjective(c, x.var(), frozen, transform);
    });
  }
}

TEST_F(GradientTest, TransformedLogitsByHand) {
  Tensor logits = backend_->FromDoubles(std::vector<double>{1, -3, 0}, {1, 3});
  ops::TransformLogits(*backend_, {0.5f, 2}, logits);
  const std::vector<double> got = backend_->ToDoubles(logits);
  EXPECT_NEAR(got[0], 2 * std::tanh(0.25), 1e-15);
  EXPECT_NEAR(got[1], 2 * std::tanh(-0.75), 1e-15);
  EXPECT_EQ(got[2], 0);
}

// More rows than a chunk holds: what several calls make of fewer each.
TEST_F(GradientTest, HeadLossOfManyRowsIsThatOfItsParts) {
  constexpr int kRows = 5000;
  Parameter &x = Make("x", {kRows, 4}), &head = Make("head", {3, 4});
  const auto outcome = [&](int parts) {
    x.gradient.Release(), head.gradient.Release();
    Tape tape(*backend_);
    Context c{*backend_, &tape};
    std::vector<double> all;
    for (int i = 0; i < parts; ++i) {
      std::vector<int32_t> rows, targets;
      for (int t = kRows * i / parts; t < kRows * (i + 1) / parts; ++t)
        rows.push_back(t), targets.push_back(t % 3);
      const std::vector<double> losses = backend_->ToDoubles(ops::HeadLoss(
          c, x.var(), Numbers(rows), head.var(), ops::CrossEntropy(Numbers(targets), 0.25f)));
      all.insert(all.end(), losses.begin(), losses.end());
    }
    tape.Run();
    for (const Parameter* p : {&x, &head}) {
      const std::vector<double> gradient = backend_->ToDoubles(p->gradient.sum());
      all.insert(all.end(), gradient.begin(), gradient.end());
    }
    return all;
  };
  const std::vector<double> whole = outcome(1), parts = outcome(7);
  ASSERT_EQ(whole.size(), parts.size());
  for (size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(whole[i], parts[i], 1e-9) << i;
}

// Four tokens whose weights differ, one without each term. The head has 7 ids, the teacher another
// number, so that only some are shared.
struct DistillParts {
  explicit DistillParts(Backend& k)
      : rows(k.Upload(std::vector<int32_t>{5, 0, 3, 2})),
        objective{{},
                  k.Upload(std::vector<int32_t>{1, 6, 0, 2}),
                  k.Upload(std::vector<float>{0.5f, 0, 1, 0.3f}),
                  k.Upload(std::vector<float>{0.5f, 1, 0, 0.7f})} {}
  Tensor rows;
  ops::DistillObjective objective;

  double Sum(Context& c, const Var& x, const Var& head, const ops::LogitsLoss& loss) const {
    double sum = 0;
    for (double l : c.backend.ToDoubles(ops::HeadLoss(c, x, rows, head, loss))) sum += 0.25 * l;
    return sum;
  }
};

TEST_F(GradientTest, DistillationByEveryDivergence) {
  Parameter &x = Make("x", {6, 4}), &head = Make("head", {7, 4});
  for (const int64_t teacher_vocab : {7, 5, 9}) {
    for (const char* name : {"forward_kl", "reverse_kl", "jsd", "total_variation", "sorted"}) {
      for (const float temperature : {1.0f, 2.0f}) {
        SCOPED_TRACE(Cat(name, " at ", temperature, ", a teacher of ", teacher_vocab));
        DistillParts parts(*backend_);
        parts.objective.settings = {DivergenceNamed(name), 0.3f, temperature};
        const auto teacher = [&](int64_t begin, int64_t count) {
          RandomStream random(MakeKey(5, RandomUse::kData, static_cast<uint64_t>(begin)));
          std::vector<double> z(static_cast<size_t>(count * teacher_vocab));
          for (double& v : z) v = random.Normal();
          return backend_->FromDoubles(z, {count, teacher_vocab});
        };
        Expect([&](Context& c) {
          return parts.Sum(c, x.var(), head.var(), ops::Distill(parts.objective, 0.25f, teacher));
        });
      }
    }
  }
}

TEST_F(GradientTest, DistillationFromKeptOutcomes) {
  Parameter &x = Make("x", {6, 4}), &head = Make("head", {7, 4});
  const Tensor ids = Numbers({3, 0, 1, 5, 2, 4, 0, 2});
  const Tensor log_probs = backend_->Upload(std::vector<float>(8, std::log(0.3f)));
  const Tensor tail = backend_->Upload(std::vector<float>(4, std::log(0.4f)));
  for (const int64_t shared : {7, 6}) {
    for (const char* name : {"forward_kl", "reverse_kl", "jsd", "total_variation"}) {
      for (const float temperature : {1.0f, 2.0f}) {
        SCOPED_TRACE(Cat(name, " at ", temperature, ", ", shared, " ids shared"));
        DistillParts parts(*backend_);
        parts.objective.settings = {DivergenceNamed(name), 0.3f, temperature};
        Expect([&](Context& c) {
          return parts.Sum(
              c, x.var(), head.var(),
              ops::DistillTop(parts.objective, 0.25f, {2, shared, ids, log_probs, tail}));
        });
      }
    }
  }
}

// The rows out of order, one of them twice; the states are also used elsewhere.
TEST_F(GradientTest, HiddenLoss) {
  Parameter &x = Make("x", {6, 4}), &p = Make("p", {5, 4});
  const Tensor teacher = Make("teacher", {4, 5}).value;
  made_.pop_back();
  const Tensor rows = Numbers({5, 0, 3, 3});
  for (HiddenLossKind kind : {HiddenLossKind::kMse, HiddenLossKind::kCosine}) {
    SCOPED_TRACE(static_cast<int>(kind));
    Expect([&](Context& c) {
      const Var y = ops::Add(c, x.var(), x.var());
      double loss = 0;
      for (double l :
           backend_->ToDoubles(ops::HiddenLoss(c, y, rows, teacher, p.var(), kind, 0.25f)))
        loss += l;
      return 0.25 * loss + WeightedSum(c, ops::Add(c, y, x.var()));
    });
  }
}

// The checker must catch a wrong backward: this one forgets a factor in one place out of many.
TEST_F(GradientTest, TheCheckerCatchesAWrongBackward) {
  Parameter& a = Make("a", {4, 6});
  const auto wrong = [&](Context& c) {
    Tensor y = c.backend.New(a.value.shape());
    c.backend.Add(a.value, a.value, y);
    const Var in = a.var();
    const Var out = c.Record(y, {&in}, [in](Backend& k, const Tensor& dy) {
      k.Accumulate(dy, in.GradientSum(k));
      Tensor most = dy.RowRange(0, 3), sum = in.GradientSum(k).RowRange(0, 3);
      k.Accumulate(most, sum);  // the last row's second half is missing
    });
    return WeightedSum(c, out);
  };
  const auto results = CheckGradients(*backend_, {&a}, wrong);
  EXPECT_GT(results[0].relative_error, 0.05);
}

// An error of one part in ten thousand is caught as well.
TEST_F(GradientTest, TheCheckerCatchesASlightlyWrongBackward) {
  Parameter& a = Make("a", {4, 6});
  const auto wrong = [&](Context& c) {
    Tensor y = c.backend.Zeros(a.value.shape());
    c.backend.Accumulate(a.value, y);
    const Var in = a.var();
    const Var out = c.Record(y, {&in}, [in](Backend& k, const Tensor& dy) {
      Tensor scaled = k.Zeros(dy.shape());
      k.Accumulate(dy, scaled);
      k.Scale(scaled, 1.0001f);
      k.Accumulate(scaled, in.GradientSum(k));
    });
    return WeightedSum(c, out);
  };
  EXPECT_GT(CheckGradients(*backend_, {&a}, wrong)[0].relative_error, 0.9e-4);
}

}  // namespace
}  // namespace retort
