// SPDX-License-Identifier: Apache-2.0
#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

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

Trainer::StepSums::StepSums(Backend& backend)
    : all(backend.Upload(std::vector<double>(5))),
      loss(all.Part(0, 1)),
      hidden(all.Part(1, 1)),
      squares(all.Part(4, 1)),
      parts{all.Part(2, 1), all.Part(3, 1)} {}

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
  StepSums sums(model_.backend);
  for (const MicroBatch& micro : step->micro) {
    for (const MicroBatch& part : CutMicroBatch(micro, options_.part_tokens))
      ForwardBackward(part, step->loss_tokens, sums);
  }
  optimizer_.AddSquares(sums.squares);
  const std::vector<double> host = model_.backend.ToHost<double>(sums.all);
  const double per_token = step->loss_tokens > 0 ? 1 / static_cast<double>(step->loss_tokens) : 0;
  m.loss = (host[0] + host[1]) * per_token;
  m.ce = host[teacher_ ? 2 : 0] * per_token;
  m.kd = host[3] * per_token;
  m.hidden = host[1] * per_token;
  m.grad_norm = std::sqrt(host[4]);
  if (!std::isfinite(m.loss) || !std::isfinite(m.grad_norm)) {
    throw Failure("step ", m.step, ": loss ", m.loss, ", gradient norm ", m.grad_norm,
                  ": not finite; a lower train.lr or longer train.warmup usually helps");
  }

  // 4. Optimise.
  optimizer_.Step(m.lr, sums.squares);
  m.seconds = Seconds(start);
  return m;
}

void Trainer::ForwardBackward(const MicroBatch& micro, int64_t loss_tokens, StepSums& sums) {
  if (micro.loss_tokens == 0) return;
  const TrainingBatch data = MakeTrainingBatch(micro);
  const auto scale = static_cast<float>(1.0 / static_cast<double>(loss_tokens));
  Backend& k = model_.backend;
  // The teacher reads first, while the student holds no activations.
  const TeacherView view =
      teacher_ ? teacher_->Look(micro, data, scale, sums.parts)
               : TeacherView{ops::CrossEntropy(k.Upload(data.targets), scale), {}, {}};
  ForwardPass pass{data.batch, adapter_};
  pass.checkpoint = options_.checkpoint_blocks;
  pass.observer = view.observer;
  if (adapter_ && adapter_->config().dropout > 0) {
    const PhiloxKey key =
        MakeKey(options_.seed, RandomUse::kDropout, static_cast<uint64_t>(optimizer_.steps() + 1));
    pass.dropout_seed = (uint64_t{key[0]} << 32 | key[1]) | 1;  // 0 would mean none
  }

  Tape tape(k);
  Context context{k, &tape};
  const Var hidden = model_.Hidden(context, pass);
  k.AddSum(model_.Losses(context, hidden, k.Upload(data.rows), view.loss), 1, sums.loss);
  if (view.rest) view.rest(context, sums.hidden);
  tape.Run();
}

}  // namespace retort
