// SPDX-License-Identifier: Apache-2.0
// Training on a device whose memory the host may not access and whose work runs late: 20 steps give
// the same bytes as the wrapped CPU kernels.
#include <gtest/gtest.h>

#include "tests/support/awkward_backend.h"
#include "tests/support/random_model.h"
#include "tests/train/small_training.h"
#include "train/objectives/cross_entropy.h"
#include "train/trainer.h"

namespace retort {
namespace {

class AwkwardTraining : public testing::TestWithParam<SmallTraining> {};

TEST_P(AwkwardTraining, TwentyStepsGiveTheBytesOfTheCpu) {
  const auto cpu = MakeCpuBackend(1, Compute::kF32);
  const auto awkward = MakeAwkwardBackend(1, Compute::kF32);
  const SmallOutcome want = TrainSmall(*cpu, GetParam()), got = TrainSmall(*awkward, GetParam());
  ASSERT_EQ(want.losses.size(), static_cast<size_t>(kSmallSteps));
  EXPECT_EQ(got.losses, want.losses);
  EXPECT_EQ(got.norms, want.norms);
  EXPECT_EQ(got.end, want.end);
  EXPECT_EQ(got.states, want.states);
  ASSERT_EQ(want.end.size(), want.start.size());
  ASSERT_GE(want.states.size(), want.start.size());
  for (size_t i = 0; i < want.start.size(); ++i) EXPECT_NE(want.end[i], want.start[i]);
  // With dropout, steps' losses also differ by what was dropped; so with noise.
  if (GetParam().dropout == 0 && GetParam().noise == 0) {
    EXPECT_LT(want.losses.back(), want.losses.front());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Settings, AwkwardTraining,
    testing::Values(SmallTraining{}, SmallTraining{.dropout = 0.2},
                    SmallTraining{.checkpoint = true, .dropout = 0.2},
                    SmallTraining{.adapter = false}, SmallTraining{.teacher = true},
                    SmallTraining{.noise = 5}, SmallTraining{.nf4 = true},
                    SmallTraining{.optimizer = OptimizerOptions::Kind::kLion},
                    SmallTraining{.optimizer = OptimizerOptions::Kind::kSgd},
                    SmallTraining{.optimizer = OptimizerOptions::Kind::kAdafactor}));

// A step waits for the device once: for its losses and the norm of its gradients.
class CountsWaits : public AwkwardBackend {
 public:
  CountsWaits() : AwkwardBackend(MakeCpuBackend(1, Compute::kF32)) {}
  void Wait(Event event) override {
    ++waits;
    AwkwardBackend::Wait(event);
  }
  int waits = 0;
};

TEST(AwkwardTrainingSteps, WaitOnce) {
  CountsWaits backend;
  const auto model = RandomModel(SmallConfig(kSmallVocab), 1, backend);
  const auto adapter = Adapter::Make({}, model->layout, 4, backend);
  const std::vector<Example> examples = SmallExamples();
  BatchOptions batches;
  batches.batch_rows = 4, batches.max_tokens = 32, batches.epochs = 20;
  BatchStream stream(examples, batches);
  TrainerOptions options;
  options.part_tokens = 20;
  CrossEntropyObjective plain;
  Trainer trainer(*model, adapter.get(), stream, options, plain);
  for (int i = 0; i < 3; ++i) {
    backend.waits = 0;
    ASSERT_TRUE(trainer.Step());
    EXPECT_EQ(backend.waits, 1);
  }
}

}  // namespace
}  // namespace retort
