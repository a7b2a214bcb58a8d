// SPDX-License-Identifier: Apache-2.0
// Training on a device whose memory the host may not access and whose work runs late: 20 steps give
// the same bytes as the wrapped CPU kernels.
#include <gtest/gtest.h>

#include "tests/support/awkward_backend.h"
#include "tests/support/random_model.h"
#include "train/objectives/cross_entropy.h"
#include "train/objectives/online_distillation.h"
#include "train/trainer.h"

namespace retort {
namespace {

constexpr int64_t kVocab = 61;
constexpr int kSteps = 20;

std::vector<Example> SomeExamples() {
  std::vector<Example> examples(12);
  for (size_t i = 0; i < examples.size(); ++i) {
    RandomStream random(MakeKey(5, RandomUse::kData, i));
    examples[i].row = static_cast<int64_t>(i);
    for (size_t t = 0; t < 5 + i; ++t) {
      examples[i].ids.push_back(static_cast<int32_t>(random.Below(kVocab)));
      examples[i].labels.push_back(t < 3 ? kNoLoss : examples[i].ids.back());
    }
  }
  return examples;
}

struct Outcome {
  std::vector<double> losses, norms;
  std::vector<std::vector<float>> start;   // each parameter before the first step
  std::vector<std::vector<float>> end;     // and after the last
  std::vector<std::vector<float>> states;  // what the optimiser holds then
};

struct Setting {
  bool adapter = true;   // else every weight
  bool teacher = false;  // beside an adapter: another model's logits and hidden states
  bool checkpoint = false;
  double dropout = 0;
  OptimizerOptions::Kind optimizer = OptimizerOptions::Kind::kAdamW;
  double noise = 0;
};

std::unique_ptr<Model> TrainableModel(const Architecture& config, Backend& backend) {
  auto model = std::make_unique<Model>(config, backend);
  RandomStream random(MakeKey(9, RandomUse::kInit));
  for (const TensorSpec& spec : model->layout.tensors) {
    const Shape shape =
        spec.is_matrix() ? Shape{spec.shape[0], spec.shape[1]} : Shape{spec.shape[0]};
    std::vector<float> values(static_cast<size_t>(shape.elements()));
    for (float& v : values) {
      v = static_cast<float>(0.2 * random.Normal() + (spec.target.kind == Target::Kind::kGain));
    }
    model->parameters.push_back(
        std::make_unique<Parameter>(spec.name, backend.FromFloats(values, shape)));
    model->Set(spec.target, model->parameters.back()->var());
  }
  return model;
}

Outcome Train(Backend& backend, const Setting& setting) {
  const Architecture config = SmallConfig(kVocab);
  const auto model =
      setting.adapter ? RandomModel(config, 1, backend) : TrainableModel(config, backend);
  const auto teacher = RandomModel(config, 2, backend);
  AdapterConfig lora;
  lora.rank = 3;
  lora.dropout = setting.dropout;
  const auto adapter = setting.adapter ? Adapter::Make(lora, model->layout, 4, backend) : nullptr;
  const std::vector<Example> examples = SomeExamples();
  BatchOptions batches;
  batches.batch_rows = 2, batches.accumulate = 2, batches.max_tokens = 32, batches.epochs = 20;
  BatchStream stream(examples, batches);
  CrossEntropyObjective plain;
  std::optional<OnlineDistillation> online;
  if (setting.teacher)
    online.emplace(*teacher, nullptr, *model, DistillationOptions{}, HiddenOptions{});
  TrainerOptions options;
  options.schedule.kind = Schedule::Kind::kConstant;
  options.schedule.peak = 0.05;
  options.checkpoint_blocks = setting.checkpoint;
  options.part_tokens = 20;
  options.optimizer.kind = setting.optimizer;
  options.optimizer.momentum = 0.5;
  options.noise = setting.noise;
  if (setting.optimizer == OptimizerOptions::Kind::kSgd) options.schedule.peak = 1;
  Trainer trainer(*model, adapter.get(), stream, options,
                  online ? static_cast<Objective&>(*online) : plain);

  Outcome out;
  for (const auto& t : trainer.optimizer().trained())
    out.start.push_back(backend.ToFloats(t.parameter->value));
  for (int i = 0; i < kSteps; ++i) {
    const auto metrics = trainer.Step();
    if (!metrics) break;
    out.losses.push_back(metrics->loss);
    out.norms.push_back(metrics->grad_norm);
  }
  for (const auto& t : trainer.optimizer().trained()) {
    out.end.push_back(backend.ToFloats(t.parameter->value));
    for (const Tensor& state : t.states) out.states.push_back(backend.ToFloats(state));
  }
  return out;
}

class AwkwardTraining : public testing::TestWithParam<Setting> {};

TEST_P(AwkwardTraining, TwentyStepsGiveTheBytesOfTheCpu) {
  const auto cpu = MakeCpuBackend(1, Compute::kF32);
  const auto awkward = MakeAwkwardBackend(1, Compute::kF32);
  const Outcome want = Train(*cpu, GetParam()), got = Train(*awkward, GetParam());
  ASSERT_EQ(want.losses.size(), static_cast<size_t>(kSteps));
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

INSTANTIATE_TEST_SUITE_P(Settings, AwkwardTraining,
                         testing::Values(Setting{}, Setting{.dropout = 0.2},
                                         Setting{.checkpoint = true, .dropout = 0.2},
                                         Setting{.adapter = false}, Setting{.teacher = true},
                                         Setting{.noise = 5},
                                         Setting{.optimizer = OptimizerOptions::Kind::kLion},
                                         Setting{.optimizer = OptimizerOptions::Kind::kSgd},
                                         Setting{.optimizer = OptimizerOptions::Kind::kAdafactor}));

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
  const auto model = RandomModel(SmallConfig(kVocab), 1, backend);
  const auto adapter = Adapter::Make({}, model->layout, 4, backend);
  const std::vector<Example> examples = SomeExamples();
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
