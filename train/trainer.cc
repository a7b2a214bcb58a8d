// SPDX-License-Identifier: Apache-2.0
#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace retort {
namespace {

std::vector<Parameter*> Trained(const Model& model, const Adapter* adapter, Teacher* teacher) {
  std::vector<Parameter*> out;
  if (adapter) {
    out = adapter->parameters();
  } else {
    for (const auto& p : model.parameters) out.push_back(p.get());
  }
  if (teacher) std::ranges::copy(teacher->parameters(), std::back_inserter(out));
  return out;
}

double Seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

}  // namespace

Trainer::Trainer(const Model& model, Adapter* adapter, BatchStream& stream,
                 const TrainerOptions& options, Teacher* teacher)
    : model_(model),
      adapter_(adapter),
      stream_(stream),
      options_(options),
      teacher_(teacher),
      optimizer_(Trained(model, adapter, teacher), options.optimizer, model.backend) {}

std::optional<StepMetrics> Trainer::Step() {
  const auto start = std::chrono::steady_clock::now();

  // 1. Sample.
  std::optional<retort::Step> step = stream_.Next();
  if (!step) return std::nullopt;
  StepMetrics m;
  m.step = optimizer_.steps() + 1;
  if (teacher_) m.generated_tokens = teacher_->Prepare(*step, m.step);
  m.generation_seconds = m.generated_tokens > 0 ? Seconds(start) : 0;
  m.epoch = step->epoch;
  m.tokens = step->tokens;
  m.loss_tokens = step->loss_tokens;
  m.lr = options_.schedule.RateOf(m.step);

  // 2. Forward and 3. backward, micro-batch by micro-batch, over one common number of tokens.
  LossSums sums;
  for (const MicroBatch& micro : step->micro) {
    for (const MicroBatch& part : CutMicroBatch(micro, options_.part_tokens))
      ForwardBackward(part, step->loss_tokens, sums);
  }
  const double per_token = step->loss_tokens > 0 ? 1 / static_cast<double>(step->loss_tokens) : 0;
  m.loss = (sums.loss + sums.hidden) * per_token;
  m.ce = (teacher_ ? sums.parts.ce : sums.loss) * per_token;
  m.kd = sums.parts.kd * per_token;
  m.hidden = sums.hidden * per_token;
  m.grad_norm = optimizer_.GradientNorm();
  if (!std::isfinite(m.loss) || !std::isfinite(m.grad_norm)) {
    throw Failure("step ", m.step, ": loss ", m.loss, ", gradient norm ", m.grad_norm,
                  ": not finite; a lower train.lr or longer train.warmup usually helps");
  }

  // 4. Optimise.
  optimizer_.Step(m.lr, m.grad_norm);
  m.seconds = Seconds(start);
  return m;
}

void Trainer::ForwardBackward(const MicroBatch& micro, int64_t loss_tokens, LossSums& sums) {
  if (micro.loss_tokens == 0) return;
  const TrainingBatch data = MakeTrainingBatch(micro);
  const auto scale = static_cast<float>(1.0 / static_cast<double>(loss_tokens));
  // The teacher reads first, while the student holds no activations.
  const TeacherView view = teacher_ ? teacher_->Look(micro, data, scale, &sums.parts)
                                    : TeacherView{ops::CrossEntropy(data.targets, scale), {}, {}};
  ForwardPass pass{data.batch, adapter_};
  pass.checkpoint = options_.checkpoint_blocks;
  pass.observer = view.observer;
  if (adapter_ && adapter_->config().dropout > 0) {
    const PhiloxKey key =
        MakeKey(options_.seed, RandomUse::kDropout, static_cast<uint64_t>(optimizer_.steps() + 1));
    pass.dropout_seed = (uint64_t{key[0]} << 32 | key[1]) | 1;  // 0 would mean none
  }

  Tape tape(model_.backend);
  Context context{model_.backend, &tape};
  const Var hidden = model_.Hidden(context, pass);
  const std::vector<double> losses = model_.Losses(context, hidden, data.rows, view.loss);
  if (view.rest) sums.hidden += view.rest(context);
  tape.Run();
  sums.loss += std::accumulate(losses.begin(), losses.end(), 0.0);
}

}  // namespace retort
