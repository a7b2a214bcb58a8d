// SPDX-License-Identifier: Apache-2.0
// The reference itself against independent values: values computed by hand, and, for every gradient
// kernel, differences of its forward kernel.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tensor/backend.h"

namespace retort {
namespace {

class ReferenceTest : public testing::Test {
 protected:
  Tensor Of(std::initializer_list<double> values, Shape shape) {
    return b_->FromDoubles(std::vector<double>(values), shape);
  }
  Tensor Random(Shape shape) {
    std::vector<double> values(static_cast<size_t>(shape.elements()));
    for (double& v : values) v = random_.Normal();
    return b_->FromDoubles(values, shape);
  }
  Tensor Zeros(Shape shape) {
    Tensor x = b_->New(shape);
    b_->Fill(x, 0);
    return x;
  }
  void ExpectValues(const Tensor& x, std::initializer_list<double> want) {
    const std::vector<double> got = b_->ToDoubles(x);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_NEAR(got[i], want.begin()[i], 1e-12) << "value " << i;
    }
  }
  // That `gradient`, which began at 1, is 1 + the derivative of sum(dy * forward()) by each x[i].
  void ExpectGradient(Tensor x, const Tensor& gradient, const Tensor& dy,
                      const std::function<Tensor()>& forward) {
    const auto loss = [&] {
      const std::vector<double> y = b_->ToDoubles(forward()), weights = b_->ToDoubles(dy);
      double sum = 0;
      for (size_t i = 0; i < y.size(); ++i) sum += y[i] * weights[i];
      return sum;
    };
    constexpr double kStep = 1e-4;
    for (int64_t i = 0; i < x.elements(); ++i) {
      double& value = x.data<double>()[i];
      const double at = value;
      value = at + kStep;
      const double above = loss();
      value = at - kStep;
      const double below = loss();
      value = at;
      EXPECT_NEAR(gradient.data<double>()[i] - 1, (above - below) / (2 * kStep), 1e-6) << i;
    }
  }
  Tensor Ones(Shape shape) {
    Tensor x = b_->New(shape);
    b_->Fill(x, 1);
    return x;
  }

  std::unique_ptr<Backend> b_ = MakeReferenceBackend();
  RandomStream random_{MakeKey(5, RandomUse::kData)};
};

TEST_F(ReferenceTest, NormByHand) {
  Tensor y = b_->New({1, 2}), r = b_->New({1});
  b_->RmsNorm(Of({3, 4}, {1, 2}), Of({1, 10}, {2}), 3.5f, y, r);  // mean square 12.5
  ExpectValues(y, {0.75, 10});
  ExpectValues(r, {0.25});
}

TEST_F(ReferenceTest, NormGradient) {
  const Tensor x = Random({3, 5}), gain = Random({5}), dy = Random({3, 5});
  Tensor r = b_->New({3}), dx = Ones({3, 5}), dgain = Ones({5});
  const auto forward = [&] {
    Tensor y = b_->New({3, 5});
    b_->RmsNorm(x, gain, 0.5f, y, r);
    return y;
  };
  forward();
  b_->RmsNormGrad(dy, x, gain, r, dx, &dgain);
  ExpectGradient(x, dx, dy, forward);
  ExpectGradient(gain, dgain, dy, forward);
}

// GELU's values by Python's math.erf and math.tanh.
TEST_F(ReferenceTest, GatedActivationsByHandAndGradient) {
  struct Known {
    Activation activation;
    double at_one, at_minus_one;
  };
  for (const Known& known :
       {Known{Activation::kSilu, 1 / (1 + std::exp(-1.0)), -1 / (1 + std::exp(1.0))},
        {Activation::kGelu, 0.8413447460685429, -0.15865525393145707},
        {Activation::kGeluTanh, 0.8411919906082768, -0.15880800939172324},
        {Activation::kRelu2, 1, 0}}) {
    const Activation activation = known.activation;
    SCOPED_TRACE(static_cast<int>(activation));
    Tensor one = b_->New({4});
    b_->GatedActivation(activation, Of({0, 1, -1, -1000}, {4}), Of({7, 2, 3, 3}, {4}), one);
    ExpectValues(one, {0, 2 * known.at_one, 3 * known.at_minus_one, 0});

    const Tensor gate = Random({2, 3}), up = Random({2, 3}), dy = Random({2, 3});
    Tensor dgate = Ones({2, 3}), dup = Ones({2, 3});  // overwritten
    const auto forward = [&] {
      Tensor y = b_->New({2, 3});
      b_->GatedActivation(activation, gate, up, y);
      return y;
    };
    b_->GatedActivationGrad(activation, dy, gate, up, dgate, dup);
    for (Tensor* gradient : {&dgate, &dup})
      b_->Accumulate(Ones({2, 3}), *gradient);  // as ExpectGradient wants it
    ExpectGradient(gate, dgate, dy, forward);
    ExpectGradient(up, dup, dy, forward);
  }
}

TEST_F(ReferenceTest, SoftCapByHand) {
  Tensor x = Of({0, 3, -1e9}, {3}), dx = Of({5, 5, 5}, {3});
  b_->SoftCap(x, 3);
  ExpectValues(x, {0, 3 * std::tanh(1.0), -3});
  b_->SoftCapGrad(x, 3, dx);
  ExpectValues(dx, {5, 5 / std::pow(std::cosh(1.0), 2), 0});
}

TEST_F(ReferenceTest, ColumnsAreCopiedAndAdded) {
  Tensor y = b_->New({2, 2}), x = Of({1, 2, 3, 4, 5, 6}, {2, 3});
  b_->CopyColumns(x, 1, y);
  ExpectValues(y, {2, 3, 5, 6});
  b_->AddColumns(Of({10, 20, 30, 40}, {2, 2}), 0, x);
  ExpectValues(x, {11, 22, 3, 34, 45, 6});
}

// Odds of 1 : 3 : 2 : 3.
TEST_F(ReferenceTest, RouteByHand) {
  const Tensor logits = Of({0, std::log(3.0), std::log(2.0), std::log(3.0)}, {1, 4});
  Tensor probabilities = b_->New({1, 4}), experts = b_->New({1, 3}, DType::kI32),
         weights = b_->New({1, 3});
  for (const bool renormalise : {false, true}) {
    b_->Route({3, renormalise}, logits, probabilities, experts, weights);
    EXPECT_EQ(b_->ToHost<int32_t>(experts), (std::vector<int32_t>{1, 3, 2}));
    ExpectValues(probabilities, {1.0 / 9, 3.0 / 9, 2.0 / 9, 3.0 / 9});
    const double all = renormalise ? 8 : 9;
    ExpectValues(weights, {3 / all, 3 / all, 2 / all});
  }
}

TEST_F(ReferenceTest, WeightedRowsByHand) {
  const Tensor x = Of({1, 2, 3, 4, 5, 6}, {3, 2}), weights = Of({10, 100, 1000, 7}, {2, 2});
  const Tensor rows = b_->Upload(std::vector<int32_t>{1, 1, 0}),
               places = b_->Upload(std::vector<int32_t>{2, 0, 1});
  Tensor out = Of({1, 1, 1, 1}, {2, 2}), dx = b_->New({3, 2}), dweights = Of({1, 1, 1, 1}, {2, 2});
  b_->AddWeightedRows(x, weights, rows, places, out);
  ExpectValues(out, {501, 601, 1031, 2041});
  b_->WeightedRowsGrad(Of({1, 2, 3, 4}, {2, 2}), x, weights, rows, places, dx, &dweights);
  ExpectValues(dx, {3000, 4000, 30, 40, 100, 200});
  ExpectValues(dweights, {1 + 3 * 3 + 4 * 4, 1 + 5 + 2 * 6, 1 + 3 + 4 * 2, 1});
}

TEST_F(ReferenceTest, DropoutKeepsByTheDocumentedWordsAndHasTheMatchingGradient) {
  const std::vector<int64_t> row = {9, 1LL << 40};
  const std::vector<int32_t> token = {3, 0};
  const DropoutMask mask{0.25f, 77, b_->Upload(row), b_->Upload(token)};
  const Tensor x = Random({2, 6}), dy = Random({2, 6});
  Tensor dx = Ones({2, 6});
  const auto forward = [&] {
    Tensor y = b_->New({2, 6});
    b_->Dropout(x, mask, y);
    return y;
  };
  const PhiloxCounter words = Philox({3, 1, 0, 0}, MakeKey(77, RandomUse::kDropout, 9));
  const double want = words[1] >= 0x40000000u ? x.data<double>()[5] / 0.75 : 0;
  EXPECT_EQ(forward().data<double>()[5], want);
  b_->DropoutGrad(dy, mask, dx);
  ExpectGradient(x, dx, dy, forward);
}

TEST_F(ReferenceTest, RotaryTurnsHalvesAndItsInverseIsItsGradient) {
  const std::vector<int32_t> positions = {0, 7};
  const std::vector<double> inv_freq = {1.0, 0.125};
  Tensor cos = b_->New({2, 2}), sin = b_->New({2, 2});
  b_->RotaryTable(b_->Upload(positions), b_->Upload(inv_freq), 2.0, cos, sin);
  ExpectValues(cos, {2, 2, 2 * std::cos(7.0), 2 * std::cos(0.875)});
  ExpectValues(sin, {0, 0, 2 * std::sin(7.0), 2 * std::sin(0.875)});

  Tensor quarter = b_->New({1, 4});
  b_->Rotary(Of({1, 2, 3, 4}, {1, 4}), Of({0, 0}, {1, 2}), Of({1, 1}, {1, 2}), 1, false, quarter);
  ExpectValues(quarter, {-3, -4, 1, 2});
  b_->Rotary(Of({1, 2, 3, 4}, {1, 4}), Of({0, 0}, {1, 2}), Of({1, 1}, {1, 2}), 1, false, quarter,
             RotaryPairs::kNeighbours);
  ExpectValues(quarter, {-2, 1, -4, 3});
  // Two of three values are turned: of either kind the same two.
  for (const RotaryPairs pairs : {RotaryPairs::kHalves, RotaryPairs::kNeighbours}) {
    Tensor part = b_->New({1, 6});
    b_->Rotary(Of({1, 2, 3, 4, 5, 6}, {1, 6}), Of({0}, {1, 1}), Of({1}, {1, 1}), 2, false, part,
               pairs);
    ExpectValues(part, {-2, 1, 3, -5, 4, 6});
  }

  const Tensor x = Random({2, 8}), dy = Random({2, 8});
  Tensor dx = b_->New({2, 8});
  b_->Rotary(dy, cos, sin, 2, true, dx);
  b_->Add(dx, Ones({2, 8}), dx);
  ExpectGradient(x, dx, dy, [&] {
    Tensor y = b_->New({2, 8});
    b_->Rotary(x, cos, sin, 2, false, y);
    return y;
  });
}

TEST_F(ReferenceTest, GemmByHandInAllFourWays) {
  const Tensor a = Of({1, 2, 3, 4, 5, 6}, {2, 3}), a_t = Of({1, 4, 2, 5, 3, 6}, {3, 2});
  const Tensor c = Of({1, 0, 0, 1, 1, 1}, {3, 2}), c_t = Of({1, 0, 1, 0, 1, 1}, {2, 3});
  for (bool ta : {false, true}) {
    for (bool tb : {false, true}) {
      Tensor out = Of({100, 200, 300, 400}, {2, 2});
      b_->Gemm(ta, tb, 2, ta ? a_t : a, tb ? c_t : c, 0.5f, out);
      ExpectValues(out, {58, 110, 170, 222});
    }
  }
}

TEST_F(ReferenceTest, LinearByHandAndGradient) {
  const auto values = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3, 4, 5, 6});
  const PreparedWeight w = b_->Prepare(
      Weight(WeightFormat::kF32, 3, 2, Bytes(std::as_bytes(std::span(*values))), values));
  Tensor y = b_->New({1, 3});
  b_->LinearForward(Of({1, 10}, {1, 2}), w, y);
  ExpectValues(y, {21, 43, 65});

  const Tensor x = Random({4, 2}), dy = Random({4, 3});
  Tensor dx = Ones({4, 2});
  b_->LinearInputGrad(dy, w, dx);
  ExpectGradient(x, dx, dy, [&] {
    Tensor out = b_->New({4, 3});
    b_->LinearForward(x, w, out);
    return out;
  });
}

TEST_F(ReferenceTest, AttentionByHand) {
  const AttentionShape shape{2, 1, 1, 1.0f};
  const auto plan = b_->Plan({{{0, 2, 0, 0}}, {0}, 2});
  const double three = std::log(3.0);
  Tensor out = b_->New({2, 2}), log_sum = b_->New({2, 2});
  // Token 1's first head scores (0, ln 3), so weighs its keys 1 : 3; its second scores them alike.
  b_->Attention(shape, *plan, Of({5, 5, 1, 0}, {2, 2}), Of({0, three}, {2, 1}), Of({4, 8}, {2, 1}),
                out, log_sum);
  ExpectValues(out, {4, 4, 7, 6});
  ExpectValues(log_sum, {0, 0, std::log(4.0), std::log(2.0)});
}

TEST_F(ReferenceTest, AttentionOverPagesAndWindowSeesTheRowsItShould) {
  const AttentionShape shape{1, 1, 1, 0.0f, 0, 3};  // all visible keys weigh the same
  // Blocks of 2 rows at rows 4, 0, 2: positions 0..5 lie in rows 4 5 0 1 2 3.
  const auto plan = b_->Plan({{{0, 1, 5, 0}, {1, 1, 2, 0}}, {4, 0, 2}, 2});
  const Tensor q = Zeros({2, 1}), keys = Zeros({6, 1}), values = Of({1, 2, 4, 8, 16, 32}, {6, 1});
  Tensor out = b_->New({2, 1}), log_sum = b_->New({2, 1});
  b_->Attention(shape, *plan, q, keys, values, out, log_sum);
  ExpectValues(out, {(2.0 + 4 + 8) / 3, (16.0 + 32 + 1) / 3});
  // The same rows of two heads in pages; the other head's are a hundred times as large.
  const Tensor pages = Of({1, 2, 100, 200, 4, 8, 400, 800, 16, 32, 1600, 3200}, {3, 2, 2, 1});
  Tensor out2 = b_->New({2, 2}), log_sum2 = b_->New({2, 2});
  b_->Attention({2, 2, 1, 0.0f, 0, 3}, *plan, Zeros({2, 2}), Zeros({3, 2, 2, 1}), pages, out2,
                log_sum2);
  ExpectValues(out2, {14.0 / 3, 1400.0 / 3, 49.0 / 3, 4900.0 / 3});
}

TEST_F(ReferenceTest, AttentionCapsItsScaledScores) {
  const AttentionShape shape{1, 1, 1, 0.5f, 2};
  Tensor out = b_->New({2, 1}), log_sum = b_->New({2, 1});
  // Token 1 scores (0, 0.5 * 4 = 2), the latter capped to 2 tanh(1).
  b_->Attention(shape, *b_->Plan({{{0, 2, 0, 0}}, {0}, 2}), Of({0, 1}, {2, 1}), Of({0, 4}, {2, 1}),
                Of({0, 1}, {2, 1}), out, log_sum);
  const double e = std::exp(2 * std::tanh(1.0));
  ExpectValues(out, {0, e / (1 + e)});
  ExpectValues(log_sum, {0, std::log(1 + e)});
}

TEST_F(ReferenceTest, AttentionGradient) {
  const AttentionShape shape{4, 2, 3, 0.7f, 0.8f, /*window=*/3};
  const auto plan = b_->Plan({{{0, 4, 0, 0}, {4, 2, 1, 2}}, {6, 0, 3, 9}, 3});
  const Tensor q = Random({6, 12}), keys = Random({12, 6}), values = Random({12, 6});
  const Tensor dout = Random({6, 12});
  Tensor log_sum = b_->New({6, 4});
  const auto forward = [&] {
    Tensor out = b_->New({6, 12});
    b_->Attention(shape, *plan, q, keys, values, out, log_sum);
    return out;
  };
  const Tensor out = forward();
  Tensor dq = Ones({6, 12}), dkeys = Ones({12, 6}), dvalues = Ones({12, 6});
  b_->AttentionGrad(shape, *plan, dout, q, keys, values, out, log_sum, dq, dkeys, dvalues);
  ExpectGradient(q, dq, dout, forward);
  ExpectGradient(keys, dkeys, dout, forward);
  ExpectGradient(values, dvalues, dout, forward);
}

TEST_F(ReferenceTest, CrossEntropyByHandAndGradient) {
  const Tensor targets = b_->Upload(std::vector<int32_t>{2, 0});
  Tensor losses = b_->New({2});
  Tensor even = Of({9, 9, 9, 1000, 0, 0}, {2, 3});
  b_->CrossEntropy(even, targets, b_->Upload(std::vector<float>{0.5f, 0.5f}), 0, losses);
  EXPECT_NEAR(losses.data<double>()[0], std::log(3.0), 1e-12);
  EXPECT_EQ(losses.data<double>()[1], 0);
  ExpectValues(even, {0.5 / 3, 0.5 / 3, -1.0 / 3, 0, 0, 0});

  const Tensor logits = Random({2, 4}), weights = Ones({2});
  const auto loss_of = [&](const Tensor& scales, Tensor& copy) {
    copy = b_->FromDoubles(b_->ToDoubles(logits), {2, 4});
    b_->CrossEntropy(copy, targets, scales, 0, losses);
    return b_->FromDoubles(b_->ToDoubles(losses), {2});
  };
  Tensor gradient, untouched;
  loss_of(b_->Upload(std::vector<float>{1, 1}), gradient);
  b_->Add(gradient, Ones({2, 4}), gradient);
  ExpectGradient(logits, gradient, weights, [&] { return loss_of({}, untouched); });
  EXPECT_EQ(b_->ToDoubles(untouched).size(), 8u);
}

TEST_F(ReferenceTest, FirstAdamWStepGoesByTheSignAndDecays) {
  Tensor p = Of({1, -2}, {2}), m = Zeros({2}), v = Zeros({2});
  const AdamWStep step{0.25f, 0.5f, 0.75f, 0, 0.5f, 1};
  b_->AdamW(step, b_->Upload(std::vector<float>{1}), p, Of({8, -0.125}, {2}), m, v);
  ExpectValues(p, {1 * 0.875 - 0.25, -2 * 0.875 + 0.25});
  ExpectValues(m, {4, -0.0625});
  ExpectValues(v, {16, 0.00390625});
  // The second by hand, with clipping: g = 4, m = 2 + 2, v = 12 + 4.
  b_->AdamW({0.25f, 0.5f, 0.75f, 0, 0, 2}, b_->Upload(std::vector<float>{0.5f}), p, Of({8, 0}, {2}),
            m, v);
  EXPECT_NEAR(b_->ToDoubles(p)[0], 0.625 - 0.25 * (4 / 0.75) / std::sqrt(16 / 0.4375), 1e-12);
}

TEST_F(ReferenceTest, RowsAndCaches) {
  const Tensor x = Of({1, 2, 3, 4, 5, 6}, {3, 2});
  Tensor taken = b_->New({2, 2}), sum = Ones({2, 2});
  b_->GatherRows(x, b_->Upload(std::vector<int32_t>{2, 0}), taken);
  ExpectValues(taken, {5, 6, 1, 2});
  b_->ScatterAddRows(x, b_->Upload(std::vector<int32_t>{1, 1, 0}), sum);
  ExpectValues(sum, {6, 7, 5, 7});
  Tensor pages = b_->New({1, 2, 2, 1}, DType::kBF16);
  b_->Fill(pages, 8);
  b_->StoreRows(Of({1.00390625, 1.01171875}, {1, 2}), b_->Upload(std::vector<int32_t>{1}), pages);
  ExpectValues(pages, {8, 1, 8, 1.015625});  // ties to even
}

}  // namespace
}  // namespace retort
