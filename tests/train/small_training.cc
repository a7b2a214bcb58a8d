// SPDX-License-Identifier: Apache-2.0
#include "tests/train/small_training.h"

#include <optional>

#include "tests/support/random_model.h"
#include "train/objectives/cross_entropy.h"
#include "train/objectives/online_distillation.h"
#include "train/trainer.h"

namespace retort {
namespace {

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

}  // namespace

std::vector<Example> SmallExamples() {
  std::vector<Example> examples(12);
  for (size_t i = 0; i < examples.size(); ++i) {
    RandomStream random(MakeKey(5, RandomUse::kData, i));
    examples[i].row = static_cast<int64_t>(i);
    for (size_t t = 0; t < 5 + i; ++t) {
      examples[i].ids.push_back(static_cast<int32_t>(random.Below(kSmallVocab)));
      examples[i].labels.push_back(t < 3 ? kNoLoss : examples[i].ids.back());
    }
  }
  return examples;
}

SmallOutcome TrainSmall(Backend& backend, const SmallTraining& setting) {
  const Architecture config = SmallConfig(kSmallVocab);
  const auto model = setting.adapter
                         ? RandomModel(config, 1, backend, 1,
                                       setting.nf4 ? WeightFormat::kNF4 : WeightFormat::kF32)
                         : TrainableModel(config, backend);
  const auto teacher = RandomModel(config, 2, backend);
  AdapterConfig lora;
  lora.rank = 3;
  lora.dropout = setting.dropout;
  const auto adapter = setting.adapter ? Adapter::Make(lora, model->layout, 4, backend) : nullptr;
  const std::vector<Example> examples = SmallExamples();
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

  SmallOutcome out;
  for (const auto& t : trainer.optimizer().trained())
    out.start.push_back(backend.ToFloats(t.parameter->value));
  for (int i = 0; i < kSmallSteps; ++i) {
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

}  // namespace retort
