// SPDX-License-Identifier: Apache-2.0
// What a recipe trains for, and its value on held-out rows.
#include <algorithm>

#include "base/error.h"
#include "eval/loss.h"
#include "session/session.h"
#include "session/teaching.h"
#include "tokenizer/tokenizer_agreement.h"
#include "train/objectives/cross_entropy.h"
#include "train/objectives/grpo.h"
#include "train/objectives/on_policy.h"
#include "train/objectives/preference.h"

namespace retort {
namespace {

DistillationOptions DistillationOptionsOf(const TeacherRecipe& t) {
  return {{DivergenceNamed(t.divergence), static_cast<float>(t.beta),
           static_cast<float>(t.temperature)},
          t.weight,
          t.scale_t2,
          t.mode == "cached" ? t.cache.string() : t.path.string()};
}

RewardOptions RewardOptionsOf(const RewardRecipe& r) {
  return {r.regex, r.schema.empty() ? "" : ReadText(r.schema, kMostSchema), r.exact, r.command};
}

// Answers are sampled to prompts.
void CheckHavePrompts(const Rows& rows) {
  for (size_t s = 0; s < rows.sources().size(); ++s) {
    if (rows.Format(s) != RowFormat::kText) continue;
    throw InputError(rows.sources()[s].path.string(),
                     ": rows of format text have no prompt that the model could answer, as rewards "
                     "and 'teacher.mode' on-policy need; use rows of prompt and completion, or of "
                     "messages");
  }
}

// Steps of one micro-batch each, over all examples in order; none is longer than max_tokens.
BatchStream InOrder(const Examples& examples, int64_t max_tokens) {
  BatchOptions options;
  options.batch_tokens = kEvaluationTokens;
  options.max_tokens = max_tokens;
  options.shuffle = false;
  options.epochs = 1;
  return {examples, options};
}

}  // namespace

int64_t TrainingSession::RowsAStep() const {
  const TrainRecipe& t = recipe_.train;
  const int64_t tokens =
      t.batch_rows == 0 ? t.batch_tokens : t.batch_rows * recipe_.data.max_tokens;
  const int64_t packed =
      tokens * data_.train.examples.size() / std::max<int64_t>(1, data_.train.tokens);
  return t.accumulate * (t.batch_rows > 0 && !recipe_.data.packing ? t.batch_rows : packed);
}

void TrainingSession::MakeObjective() {
  if (!recipe_.preference.method.empty()) {
    objective_ = Preferences();
  } else if (recipe_.reward.given()) {
    objective_ = Rewards();
  } else if (!recipe_.has_teacher()) {
    objective_ = std::make_unique<CrossEntropyObjective>(recipe_.train.label_smoothing);
  } else if (recipe_.teacher.mode == "cached") {
    objective_ =
        std::make_unique<CachedDistillation>(OpenTeacherCache(recipe_, data_, files_),
                                             DistillationOptionsOf(recipe_.teacher), *backend_);
  } else {
    teacher_model_ = OpenTeacherModel(recipe_, files_, model_.get(), counting());
    std::ranges::copy(teacher_model_.notes, std::back_inserter(notes_));
    objective_ = OnlineOrOnPolicy();
  }
}

std::unique_ptr<Objective> TrainingSession::OnlineOrOnPolicy() {
  const TeacherRecipe& t = recipe_.teacher;
  const auto seed = static_cast<uint64_t>(recipe_.train.seed);
  std::optional<HiddenOptions> hidden;
  if (t.hidden != "none") {
    hidden = {t.hidden == "mse" ? HiddenLossKind::kMse : HiddenLossKind::kCosine, t.hidden_weight,
              t.hidden_layers == "all", seed};
  }
  auto online =
      std::make_unique<OnlineDistillation>(*teacher_model_.model, teacher_model_.adapter.get(),
                                           *model_, DistillationOptionsOf(t), hidden);
  if (t.divergence == "sorted" &&
      !Disagreement(*data_.tokenizer, *teacher_model_.tokenizer).empty()) {
    online->ReadOwnRows(RowsForTeacher(recipe_, teacher_model_, data_));
  } else {
    CheckSameTokens(recipe_, teacher_model_, data_);
  }
  if (t.mode != "on-policy") return online;
  CheckHavePrompts(data_.rows);
  OnPolicyOptions options{t.lambda, Sampling(t.sampling_temperature, t.max_new_tokens)};
  options.sampling.parallel = std::clamp<int64_t>(RowsAStep(), 1, options.sampling.parallel);
  return std::make_unique<OnPolicyDistillation>(std::move(online), *model_, adapter_.get(),
                                                *data_.tokenizer, options);
}

SampledAnswersOptions TrainingSession::Sampling(double temperature, int64_t max_new_tokens) const {
  SampledAnswersOptions out;
  out.temperature = temperature;
  out.max_new_tokens = max_new_tokens;
  out.max_tokens = recipe_.data.max_tokens;
  out.seed = static_cast<uint64_t>(recipe_.train.seed);
  if (data_.chat)
    out.stop_ids.push_back(data_.chat->CheckMarks(*data_.tokenizer, recipe_.model.path.string()));
  out.cache_type = CacheTypeFor(compute());
  return out;
}

// Where nothing is computed, no command is run either.
std::unique_ptr<Reward> TrainingSession::OwnReward() const {
  return counting() ? MakeAlternatingReward() : MakeReward(RewardOptionsOf(recipe_.reward));
}

std::unique_ptr<Objective> TrainingSession::Rewards() {
  CheckHavePrompts(data_.rows);
  const RewardRecipe& r = recipe_.reward;
  GrpoOptions options{r.answers, r.beta, Sampling(r.temperature, r.max_new_tokens)};
  options.sampling.parallel =
      std::clamp<int64_t>(RowsAStep() * r.answers, 1, options.sampling.parallel);
  LoadReference(r.beta > 0);
  return std::make_unique<Grpo>(OwnReward(), *model_, adapter_.get(), reference_.get(),
                                *data_.tokenizer, options);
}

// The reference is the model as the run begins: the base, with the adapter that it continues.
void TrainingSession::LoadReference(bool wanted) {
  if (wanted && !recipe_.adapter.init.empty())
    reference_ = Adapter::Load(recipe_.adapter.init, files_.layout, *backend_, {&files_});
}

std::unique_ptr<Objective> TrainingSession::Preferences() {
  const PreferenceRecipe& p = recipe_.preference;
  LoadReference(p.method != "orpo");
  return MakePreference({PreferenceNamed(p.method), p.beta, p.weight}, *model_, adapter_.get(),
                        reference_.get());
}

Evaluation TrainingSession::Evaluate(const Examples& examples) const {
  if (!recipe_.preference.method.empty()) return EvaluateObjective(examples);
  const LossTotal total =
      EvaluateLoss(*model_, adapter_.get(), examples, kEvaluationTokens, stopping_);
  if (total.odd_row >= 0) {
    throw Failure("evaluation: the loss of row ", total.odd_row + 1,
                  " is not a finite number; a lower train.lr usually helps");
  }
  return {total.mean(), examples.size(), total.likely, total.tokens};
}

// The objective's own loss, as in training but without dropout.
Evaluation TrainingSession::EvaluateObjective(const Examples& examples) const {
  double loss = 0;
  int64_t terms = 0;
  BatchStream steps = InOrder(examples, recipe_.data.max_tokens);
  int64_t done = 0;
  while (std::optional<StepBatch> step = steps.Next()) {
    if (stopping_) stopping_(done++);
    objective_->Prepare(*step, 0);
    terms += objective_->Terms(*step);
    for (const MicroBatch& part : step->micro) {
      Context context{*backend_};
      TrainingPass pass(context, *model_, part, {adapter_.get()});
      const Tensor zeros = backend_->Upload(std::vector<double>(4));
      LossSums sums{zeros.Part(0, 1), zeros.Part(1, 1), {zeros.Part(2, 1), zeros.Part(3, 1)}};
      objective_->Run(pass, 1, sums);
      loss += backend_->ToHost<double>(sums.loss)[0];
    }
  }
  Evaluation out;
  out.loss = loss / static_cast<double>(std::max<int64_t>(1, terms));
  out.extras = objective_->TakeExtras();
  return out;
}

}  // namespace retort
