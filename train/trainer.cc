// SPDX-License-Identifier: Apache-2.0
#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"

namespace retort {
namespace {

std::vector<Parameter*> Trained(const Model& model, const Adapter* adapter, Objective& objective) {
  std::vector<Parameter*> out;
  if (adapter) {
    out = adapter->parameters();
  } else {
    for (const auto& p : model.parameters) out.push_back(p.get());
  }
  std::ranges::copy(objective.parameters(), std::back_inserter(out));
  return out;
}

double Seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

}  // namespace

Trainer::Trainer(const Model& model, Adapter* adapter, BatchStream& stream,
                 const TrainerOptions& options, Objective& objective)
    : model_(model),
      adapter_(adapter),
      stream_(stream),
      options_(options),
      objective_(objective),
      optimizer_(Trained(model, adapter, objective), options.optimizer, model.backend) {}

Trainer::StepSums::StepSums(Backend& backend)
    : all(backend.Upload(std::vector<double>(5))),
      losses{all.Part(0, 1), all.Part(1, 1), {all.Part(2, 1), all.Part(3, 1)}},
      squares(all.Part(4, 1)) {}

std::optional<StepMetrics> Trainer::Step() {
  const auto start = std::chrono::steady_clock::now();

  // 1. Sample.
  std::optional<StepBatch> next = stream_.Next();
  if (!next) return std::nullopt;
  last_ = std::move(*next);
  StepBatch* const step = &last_;
  StepMetrics m;
  m.step = optimizer_.steps() + 1;
  m.generated_tokens = objective_.Prepare(*step, m.step);
  m.generation_seconds = m.generated_tokens > 0 ? Seconds(start) : 0;
  m.epoch = step->epoch;
  m.tokens = step->tokens;
  m.loss_tokens = step->loss_tokens;
  m.lr = options_.schedule.RateOf(m.step);

  // 2. Forward and 3. backward, part by part. All parts are divided by the step's number of terms.
  const int64_t terms = objective_.Terms(*step);
  const double per_term = terms > 0 ? 1 / static_cast<double>(terms) : 0;
  StepSums sums(model_.backend);
  for (const MicroBatch& micro : step->micro) {
    for (const MicroBatch& part : CutMicroBatch(micro, options_.part_tokens))
      ForwardBackward(part, static_cast<float>(per_term), sums.losses);
  }
  optimizer_.AddSquares(sums.squares);
  const std::vector<double> host = model_.backend.ToHost<double>(sums.all);
  m.loss = (host[0] + host[1]) * per_term;
  m.hidden = host[1] * per_term;
  m.ce = host[2] * per_term;
  m.kd = host[3] * per_term;
  m.grad_norm = std::sqrt(host[4]);
  m.extras = objective_.TakeExtras();
  CheckNumbers(m);

  // 4. Optimise.
  optimizer_.Step(m.lr, sums.squares);
  if (adapter_) adapter_->Changed();
  m.seconds = Seconds(start);
  return m;
}

// Who is to blame: the teacher, the model as it was given, or what it has learnt.
void Trainer::CheckNumbers(const StepMetrics& m) const {
  if (std::isfinite(m.loss) && std::isfinite(m.grad_norm) && std::isfinite(m.kd)) return;
  const std::string rows = WorstRowsOfLastStep();
  const std::string what =
      Cat("step ", m.step, ": loss ", m.loss, ", gradient norm ", m.grad_norm, ": not finite",
          rows.empty() ? "" : Cat(" (worst rows: ", rows, ")"));
  if (!objective_.teacher().empty() && std::isfinite(m.ce) && !std::isfinite(m.kd)) {
    throw Failure(what, ", because the teacher's logits are not numbers (its divergence is ", m.kd,
                  "): ", objective_.teacher());
  }
  if (std::isfinite(m.loss) && std::isfinite(m.grad_norm)) return;
  if (m.step == 1) {
    throw Failure(what,
                  " before anything was learnt: the model's activations overflow on these rows; "
                  "with model.compute f32 they may not");
  }
  throw Failure(what, "; a lower train.lr or longer train.warmup usually helps");
}

std::string Trainer::WorstRowsOfLastStep() const {
  return options_.name_row ? WorstRows(model_, adapter_, last_, options_.name_row) : "";
}

uint64_t Trainer::StepSeed(RandomUse use) const {
  const PhiloxKey key = MakeKey(options_.seed, use, static_cast<uint64_t>(optimizer_.steps() + 1));
  return uint64_t{key[0]} << 32 | key[1];
}

void Trainer::ForwardBackward(const MicroBatch& part, float scale, LossSums& sums) {
  if (part.loss_tokens == 0) return;
  TrainingPass::Options options{adapter_, options_.checkpoint_blocks};
  if (adapter_ && adapter_->config().dropout > 0)
    options.dropout_seed = StepSeed(RandomUse::kDropout) | 1;  // 0 would mean none
  options.noise = options_.noise;
  options.noise_seed = StepSeed(RandomUse::kNoise);
  Tape tape(model_.backend);
  Context context{model_.backend, &tape};
  TrainingPass pass(context, model_, part, options);
  objective_.Run(pass, scale, sums);
  tape.Run();
}

}  // namespace retort
