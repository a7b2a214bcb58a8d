// SPDX-License-Identifier: Apache-2.0
#include "train/trainer.h"

#include <chrono>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace retort {
namespace {

std::vector<Parameter*> Trained(const Model& model, const Adapter* adapter) {
  if (adapter) return adapter->parameters();
  std::vector<Parameter*> out;
  for (const auto& p : model.parameters) out.push_back(p.get());
  return out;
}

}  // namespace

Trainer::Trainer(const Model& model, Adapter* adapter, BatchStream& stream,
                 const TrainerOptions& options)
    : model_(model),
      adapter_(adapter),
      stream_(stream),
      options_(options),
      optimizer_(Trained(model, adapter), options.optimizer, model.backend) {}

std::optional<StepMetrics> Trainer::Step() {
  const auto start = std::chrono::steady_clock::now();

  // 1. Sample.
  const std::optional<retort::Step> step = stream_.Next();
  if (!step) return std::nullopt;
  StepMetrics m;
  m.step = optimizer_.steps() + 1;
  m.epoch = step->epoch;
  m.tokens = step->tokens;
  m.loss_tokens = step->loss_tokens;
  m.lr = options_.schedule.RateOf(m.step);

  // 2. Forward and 3. backward, micro-batch by micro-batch, over one common number of tokens.
  double loss_sum = 0;
  for (const MicroBatch& micro : step->micro) loss_sum += ForwardBackward(micro, step->loss_tokens);
  m.loss = m.ce = step->loss_tokens > 0 ? loss_sum / static_cast<double>(step->loss_tokens) : 0;
  m.grad_norm = optimizer_.GradientNorm();
  if (!std::isfinite(m.loss) || !std::isfinite(m.grad_norm)) {
    throw Failure("step ", m.step, ": loss ", m.loss, ", gradient norm ", m.grad_norm,
                  ": not finite; a lower train.lr or longer train.warmup usually helps");
  }

  // 4. Optimise.
  optimizer_.Step(m.lr, m.grad_norm);
  m.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return m;
}

double Trainer::ForwardBackward(const MicroBatch& micro, int64_t loss_tokens) {
  if (micro.loss_tokens == 0) return 0;
  const TrainingBatch data = MakeTrainingBatch(micro, model_.config.window);
  ForwardPass pass{data.batch, adapter_};
  pass.checkpoint = options_.checkpoint_blocks;
  if (adapter_ && adapter_->config().dropout > 0) {
    const PhiloxKey key =
        MakeKey(options_.seed, RandomUse::kDropout, static_cast<uint64_t>(optimizer_.steps() + 1));
    pass.dropout_seed = (uint64_t{key[0]} << 32 | key[1]) | 1;  // 0 would mean none
  }

  Tape tape(model_.backend);
  Context context{model_.backend, &tape};
  const Var hidden = model_.Hidden(context, pass);
  const auto scale = static_cast<float>(1.0 / static_cast<double>(loss_tokens));
  const std::vector<double> losses =
      model_.Losses(context, hidden, data.rows, ops::CrossEntropy(data.targets, scale));
  tape.Run();
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

TrainingBatch MakeTrainingBatch(const MicroBatch& micro, int64_t window) {
  TrainingBatch out;
  out.batch.layout.window = static_cast<int32_t>(window);
  for (size_t r = 0; r < micro.rows.size(); ++r) {
    const Example& row = *micro.rows[r];
    const auto begin = static_cast<int32_t>(out.batch.tokens());
    out.batch.AddRow(row.ids, micro.order[r]);
    for (size_t i = 1; i < row.labels.size(); ++i) {
      if (row.labels[i] == kNoLoss) continue;
      out.rows.push_back(begin + static_cast<int32_t>(i) - 1);
      out.targets.push_back(row.labels[i]);
    }
  }
  return out;
}

}  // namespace retort
