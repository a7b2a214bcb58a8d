// SPDX-License-Identifier: Apache-2.0
// The compute type of a weight's products, which is chosen for each weight by its format and use.
#include "tensor/cpu/int8_dots.h"
#include "tensor/cpu/products.h"
#include "tests/tensor/weights.h"

namespace retort {
namespace {

constexpr auto kTraining = WeightUse::Purpose::kTraining, kRunning = WeightUse::Purpose::kRunning;

class Prepare : public testing::Test {
 protected:
  Weight Make(WeightFormat format) {
    return weights_.Make(format, 70, 96, RandomFloats(70 * 96, 3, 0.05));
  }
  Compute ComputeOf(CpuBackend& cpu, WeightFormat format, WeightUse::Purpose purpose) {
    return cpu.Prepare(Make(format), {.purpose = purpose}).compute();
  }

  TestWeights weights_;
};

TEST_F(Prepare, AutoChoosesByFormatAndUse) {
  CpuBackend cpu(1, Compute::kAuto);
  const Compute narrow = CpuPrefersBf16() ? Compute::kBF16 : Compute::kF32;
  for (const WeightFormat format : {WeightFormat::kQ8_0, WeightFormat::kQ4_0}) {
    EXPECT_EQ(ComputeOf(cpu, format, kRunning), Compute::kInt8);
    EXPECT_EQ(ComputeOf(cpu, format, kTraining), narrow);
  }
  for (const WeightFormat format : {WeightFormat::kBF16, WeightFormat::kF16, WeightFormat::kNF4}) {
    EXPECT_EQ(ComputeOf(cpu, format, kRunning), narrow);
  }
  EXPECT_EQ(ComputeOf(cpu, WeightFormat::kF32, kRunning), Compute::kF32);
}

TEST_F(Prepare, WhatWasAskedForHoldsForEveryUse) {
  for (const auto purpose : {kTraining, kRunning}) {
    CpuBackend f32(1, Compute::kF32), int8(1, Compute::kInt8);
    EXPECT_EQ(ComputeOf(f32, WeightFormat::kQ8_0, purpose), Compute::kF32);
    EXPECT_EQ(ComputeOf(int8, WeightFormat::kQ8_0, purpose), Compute::kInt8);
    EXPECT_NE(ComputeOf(int8, WeightFormat::kF32, purpose), Compute::kInt8);
  }
}

// One call of products with weights that go different ways: each has the bits that it has alone.
TEST_F(Prepare, AFileOfMixedFormatsChoosesForEachProduct) {
  CpuBackend cpu(2, Compute::kAuto);
  for (const int64_t rows : {1, 3, 40}) {
    const Tensor x = cpu.FromFloats(RandomFloats(rows * 96, 5), {rows, 96});
    std::vector<PreparedWeight> prepared;
    for (const WeightFormat format :
         {WeightFormat::kQ8_0, WeightFormat::kF32, WeightFormat::kQ4_0, WeightFormat::kQ8_0}) {
      prepared.push_back(cpu.Prepare(
          Make(format), {.purpose = kRunning, .sensitive = prepared.size() == 3, .lasting = true}));
    }
    std::vector<LinearProduct> products;
    for (const PreparedWeight& w : prepared) products.push_back({&w, cpu.New({rows, 70}), {}});
    cpu.LinearForwards(x, products);
    CpuBackend exact(1, Compute::kF32);
    std::vector<double> errors;
    for (size_t i = 0; i < prepared.size(); ++i) {
      Tensor alone = cpu.New({rows, 70}), want = exact.New({rows, 70});
      cpu.LinearForward(x, prepared[i], alone);
      EXPECT_EQ(cpu.ToFloats(products[i].y), cpu.ToFloats(alone)) << i;
      exact.LinearForward(x, exact.Prepare(prepared[i].as<CpuWeight>().weight, {}), want);
      const std::vector<float> values = exact.ToFloats(want);
      errors.push_back(RelativeError(cpu.ToFloats(alone), {values.begin(), values.end()}));
    }
    EXPECT_GT(errors[0], 1e-4) << "not int8";
    EXPECT_LT(errors[1], 1e-6) << "f32 rounded";
    EXPECT_GT(errors[2], 1e-4) << "not int8";
    EXPECT_LT(errors[3], errors[0] / 20) << "a sensitive product as coarse as others";
  }
}

// A gated layer whose three products do not go the same way.
TEST_F(Prepare, AFeedForwardLayerOfMixedFormatsIsTheSumOfItsParts) {
  CpuBackend cpu(1, Compute::kAuto);
  const auto make = [&](WeightFormat format, int64_t rows, int64_t cols, uint64_t seed) {
    return cpu.Prepare(weights_.Make(format, rows, cols, RandomFloats(rows * cols, seed, 0.1)),
                       {.purpose = kRunning, .lasting = true});
  };
  const PreparedWeight gate = make(WeightFormat::kQ8_0, 64, 96, 1),
                       up = make(WeightFormat::kF32, 64, 96, 2),
                       down = make(WeightFormat::kQ4_0, 32, 64, 3);
  const Tensor x = cpu.FromFloats(RandomFloats(2 * 96, 4), {2, 96});
  Tensor at_once = cpu.New({2, 32}), in_parts = cpu.New({2, 32});
  cpu.FeedForward(Activation::kSilu, x, gate, up, down, at_once);
  Tensor h = cpu.New({2, 64}), u = cpu.New({2, 64});
  cpu.LinearForward(x, gate, h);
  cpu.LinearForward(x, up, u);
  cpu.GatedActivation(Activation::kSilu, h, u, h);
  cpu.LinearForward(h, down, in_parts);
  EXPECT_EQ(cpu.ToFloats(at_once), cpu.ToFloats(in_parts));
}

TEST_F(Prepare, OnlyALastingWeightIsCopied) {
  CpuBackend cpu(1, Compute::kF32);
  const Weight w = Make(WeightFormat::kBF16);
  EXPECT_EQ(cpu.Prepare(w, {}).as<CpuWeight>().weight.bytes().data(), w.bytes().data());
  const int64_t before = cpu.memory().live_bytes();
  const PreparedWeight copy = cpu.Prepare(w, {.lasting = true});
  EXPECT_NE(copy.as<CpuWeight>().weight.bytes().data(), w.bytes().data());
  EXPECT_GE(cpu.memory().live_bytes() - before, copy.bytes());
}

TEST(ComputeNamed, KnowsItsNames) {
  for (const Compute c : {Compute::kAuto, Compute::kF32, Compute::kBF16, Compute::kInt8}) {
    EXPECT_EQ(ComputeNamed(NameOf(c)), c);
  }
  EXPECT_THROW(ComputeNamed("f16"), Error);
}

}  // namespace
}  // namespace retort
