// SPDX-License-Identifier: Apache-2.0
// Whole pieces of work through the CUDA sources: training, distillation and a served conversation
// are those of the CPU.
#include <gtest/gtest.h>

#include <cmath>

#include "tensor/cuda/cuda_backend.h"
#include "tests/runner/server/two_turns.h"
#include "tests/train/small_training.h"

namespace retort {
namespace {

constexpr double kLossError = 1e-4;  // relative: f32 sums in another order

class CudaTraining : public testing::TestWithParam<SmallTraining> {};

// At larger rates rounding alone parts the two: AdamW makes steps of one size of gradients near 0.
constexpr double kRate = 5e-3;

TEST_P(CudaTraining, TwentyStepsFollowTheCpu) {
  SmallTraining setting = GetParam();
  setting.rate = kRate;
  const auto cpu = MakeCpuBackend(1, Compute::kF32);
  cuda::CudaBackend gpu(0, 1, Compute::kF32);
  const SmallOutcome want = TrainSmall(*cpu, setting), got = TrainSmall(gpu, setting);
  ASSERT_EQ(got.losses.size(), static_cast<size_t>(kSmallSteps));
  for (size_t i = 0; i < got.losses.size(); ++i) {
    EXPECT_NEAR(got.losses[i] / want.losses[i], 1, kLossError) << "step " << i;
    EXPECT_NEAR(got.norms[i] / want.norms[i], 1, 100 * kLossError) << "step " << i;
  }
  ASSERT_EQ(got.end.size(), want.end.size());
  for (size_t i = 0; i < got.end.size(); ++i) EXPECT_NE(got.end[i], got.start[i]);
}

INSTANTIATE_TEST_SUITE_P(
    Settings, CudaTraining,
    testing::Values(SmallTraining{}, SmallTraining{.checkpoint = true, .dropout = 0.2},
                    SmallTraining{.adapter = false}, SmallTraining{.teacher = true},
                    SmallTraining{.nf4 = true},
                    SmallTraining{.optimizer = OptimizerOptions::Kind::kAdafactor}));

TEST(CudaTrainingTwice, GivesTheSameBytes) {
  cuda::CudaBackend one(0, 1, Compute::kF32), other(0, 1, Compute::kF32);
  const SmallTraining setting{.dropout = 0.2, .nf4 = true};
  EXPECT_EQ(TrainSmall(one, setting).end, TrainSmall(other, setting).end);
}

// With bf16 operands a loss is near that of f32, and not equal to it.
TEST(CudaTrainingInBf16, StaysNear) {
  const auto cpu = MakeCpuBackend(1, Compute::kF32);
  cuda::CudaBackend gpu(0, 1, Compute::kBF16);
  const SmallTraining setting{.nf4 = true};
  const SmallOutcome want = TrainSmall(*cpu, setting), got = TrainSmall(gpu, setting);
  ASSERT_EQ(got.losses.size(), want.losses.size());
  EXPECT_NE(got.losses, want.losses);
  for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(got.losses[i] / want.losses[i], 1, 0.02) << i;
}

TEST(CudaServing, AConversationIsThatOfTheCpu) {
  for (const DType cache_type : {DType::kF32, DType::kBF16}) {
    const auto cpu = MakeCpuBackend(1, Compute::kF32);
    cuda::CudaBackend gpu(0, 1, Compute::kF32);
    const std::vector<std::string> want = TwoTurns(*cpu, cache_type);
    ASSERT_EQ(want.size(), 2u);
    EXPECT_NE(want[0], "");
    EXPECT_EQ(TwoTurns(gpu, cache_type), want);
  }
}

}  // namespace
}  // namespace retort
