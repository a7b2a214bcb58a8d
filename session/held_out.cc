// SPDX-License-Identifier: Apache-2.0
// What is measured on held-out rows while a run is under way, beside their loss.
#include <algorithm>

#include "base/error.h"
#include "eval/choice.h"
#include "eval/exact.h"
#include "eval/fields.h"
#include "eval/sample.h"
#include "session/session.h"

namespace retort {

void TrainingSession::OpenHeldOut() {
  const TrainRecipe& t = recipe_.train;
  metrics_ = t.eval_metrics;
  if (t.best_by != "loss" && std::ranges::find(metrics_, t.best_by) == metrics_.end())
    metrics_.push_back(t.best_by);
  const bool rewarded = recipe_.reward.given() && data_.eval_rows.has_value();
  if (metrics_.empty() && t.samples == 0 && !rewarded) return;
  RETORT_CHECK(data_.eval_rows.has_value(), "metrics without held-out rows");
  answers_ = ReadAnswers(*data_.eval_rows, *data_.tokenizer, chat());
}

double TrainingSession::Measure(const std::string& metric) const {
  const OverLength over_length = ParseOverLength(recipe_.data.over_length);
  QuestionOptions asked;
  asked.max_tokens = recipe_.data.max_tokens;
  asked.over_length = over_length;
  asked.cache_type = CacheTypeFor(compute());
  if (data_.answer_check) asked.grammar = data_.answer_check->grammar();
  if (metric == "exact") {
    return EvaluateExact(*model_, adapter_.get(), *data_.tokenizer, chat(), answers_, asked,
                         stopping_)
        .share();
  }
  if (metric == "fields") {
    return EvaluateFields(*model_, adapter_.get(), *data_.tokenizer, chat(), answers_, asked,
                          stopping_)
        .all.f1();
  }
  ChoiceOptions options;
  options.max_tokens = recipe_.data.max_tokens;
  options.over_length = over_length;
  options.add_eos = recipe_.data.add_eos;
  const ChoiceTask task = MakeChoiceTask(answers_, {}, *data_.tokenizer, chat(), options);
  return EvaluateChoice(*model_, adapter_.get(), task.cases, kEvaluationTokens, stopping_).share();
}

// The mean reward of the answers that are decoded greedily; its negative is the loss.
Evaluation TrainingSession::EvaluateReward() const {
  SampleOptions options;
  options.max_tokens = recipe_.data.max_tokens;
  options.max_new_tokens = recipe_.reward.max_new_tokens;
  options.cache_type = CacheTypeFor(compute());
  const std::vector<std::string> said = AnswerPrompts(*model_, adapter_.get(), *data_.tokenizer,
                                                      chat(), answers_, options, stopping_);
  std::vector<Attempt> attempts;
  for (size_t i = 0; i < said.size(); ++i)
    attempts.push_back({data_.tokenizer->Decode(answers_[i].prompt), said[i], answers_[i].text});
  double sum = 0;
  for (const double reward : OwnReward()->Of(attempts)) sum += reward;
  const double mean = sum / static_cast<double>(std::max<size_t>(1, attempts.size()));
  Evaluation out;
  out.loss = 0 - mean;  // not -0
  out.extras.emplace_back("reward", mean);
  return out;
}

Evaluation TrainingSession::EvaluateHeldOut() const {
  Evaluation out = recipe_.reward.given() ? EvaluateReward() : Evaluate(data_.eval.examples);
  for (const std::string& metric : metrics_) out.extras.emplace_back(metric, Measure(metric));
  return out;
}

std::vector<Sample> TrainingSession::TakeSamples() const {
  const auto count = std::min<size_t>(static_cast<size_t>(recipe_.train.samples), answers_.size());
  const std::vector<Answer> some(answers_.begin(),
                                 answers_.begin() + static_cast<std::ptrdiff_t>(count));
  SampleOptions options;
  options.max_tokens = recipe_.data.max_tokens;
  options.cache_type = CacheTypeFor(compute());
  if (data_.answer_check) options.grammar = data_.answer_check->grammar();
  const std::vector<std::string> said =
      AnswerPrompts(*model_, adapter_.get(), *data_.tokenizer, chat(), some, options, stopping_);
  std::vector<Sample> samples;
  for (size_t i = 0; i < count; ++i) {
    Example prompt;
    prompt.ids = some[i].prompt;
    prompt.labels.assign(prompt.ids.size(), kNoLoss);
    samples.push_back(
        {some[i].where, ShowExample(prompt, *data_.tokenizer), some[i].text, said[i]});
  }
  return samples;
}

}  // namespace retort
