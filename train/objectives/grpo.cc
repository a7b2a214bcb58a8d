// SPDX-License-Identifier: Apache-2.0
#include "train/objectives/grpo.h"

#include <cmath>
#include <numeric>
#include <span>

#include "base/error.h"

namespace retort {
namespace {

double MeanOf(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Of a sample: divided by n - 1.
double DeviationOf(std::span<const double> values) {
  const double mean = MeanOf(values);
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

}  // namespace

Grpo::Grpo(std::unique_ptr<Reward> reward, const Model& model, const Adapter* adapter,
           const Adapter* reference, const Tokenizer& tokenizer, const GrpoOptions& options)
    : reward_(std::move(reward)),
      reference_(reference),
      tokenizer_(tokenizer),
      options_(options),
      sampler_(model, adapter, tokenizer, options.sampling) {
  RETORT_CHECK(options.answers >= 2, options.answers, " answers");
}

int64_t Grpo::Prepare(StepBatch& step, int64_t number) {
  rows_.clear();
  advantage_.clear();
  int64_t generated = 0;
  for (MicroBatch& micro : step.micro) {
    std::vector<SampledAnswers::Wanted> wanted;
    std::vector<int64_t> orders;  // of the prompts
    std::vector<Attempt> attempts;
    for (size_t r = 0; r < micro.rows.size(); ++r) {
      const Example& row = *micro.rows[r];
      if (!sampler_.MayAsk(row)) continue;
      orders.push_back(micro.order[r]);
      // Its text is without the token that ends it.
      const Attempt attempt{tokenizer_.Decode(PromptOf(row)), "",
                            tokenizer_.Decode(OwnAnswerOf(row))};
      for (int64_t g = 0; g < options_.answers; ++g) {
        wanted.push_back({&row, number, micro.order[r] * options_.answers + g});
        attempts.push_back(attempt);
      }
    }
    std::vector<SampledAnswers::Answer> answers = sampler_.Sample(wanted);
    for (size_t i = 0; i < answers.size(); ++i) {
      attempts[i].answer = answers[i].text;
      generated += answers[i].row.LossTokens();
    }
    const std::vector<double> rewards = reward_->Of(attempts);
    micro.rows.clear();
    micro.order.clear();
    const auto group = static_cast<size_t>(options_.answers);
    for (size_t p = 0; p < orders.size(); ++p) {
      const auto begin = static_cast<std::ptrdiff_t>(p * group);
      std::vector<SampledAnswers::Answer> own(
          std::make_move_iterator(answers.begin() + begin),
          std::make_move_iterator(answers.begin() + begin + options_.answers));
      Weigh(own, {rewards.begin() + begin, rewards.begin() + begin + options_.answers}, micro,
            orders[p]);
    }
  }
  CountTokens(step);
  return generated;
}

// Puts the answers to one prompt into the step.
void Grpo::Weigh(std::vector<SampledAnswers::Answer>& answers, const std::vector<double>& rewards,
                 MicroBatch& micro, int64_t order) {
  const double mean = MeanOf(rewards), deviation = DeviationOf(rewards);
  ++counts_.prompts;
  counts_.deviation += deviation;
  for (size_t g = 0; g < answers.size(); ++g) {
    ++counts_.answers;
    counts_.reward += rewards[g];
    counts_.ended += answers[g].ended;
    counts_.tokens += static_cast<double>(answers[g].row.LossTokens());
    if (deviation == 0 && options_.beta == 0) continue;
    answers[g].row.joined = false;
    micro.rows.push_back(&rows_.emplace_back(std::move(answers[g].row)));
    micro.order.push_back(order * options_.answers + static_cast<int64_t>(g));
    advantage_[micro.rows.back()] = (rewards[g] - mean) / (deviation + 1e-4);
  }
}

std::vector<double> Grpo::ReferenceLosses(const TrainingPass& pass) const {
  Context context{pass.model().backend};
  TrainingPass own(context, pass.model(), pass.micro(), {reference_});
  return own.TokenLosses(own.Hidden());
}

void Grpo::Run(TrainingPass& pass, float scale, LossSums& sums) {
  Backend& k = pass.context().backend;
  std::vector<double> reference;
  if (options_.beta > 0) reference = ReferenceLosses(pass);
  const Var hidden = pass.Hidden();
  const std::vector<double> losses = pass.TokenLosses(hidden);
  std::vector<float> scales(losses.size());
  double loss = 0;
  for (size_t e = 0; e < pass.data().examples(); ++e) {
    const double advantage = advantage_.at(pass.micro().rows[e]);
    for (size_t i = pass.data().begins[e]; i < pass.data().begins[e + 1]; ++i) {
      double pull = advantage;
      loss -= advantage;  // the ratio to the policy that sampled is 1
      if (options_.beta > 0) {
        const double log_ratio = losses[i] - reference[i], ratio = std::exp(log_ratio);
        const double kl = ratio - log_ratio - 1;
        loss += options_.beta * kl;
        pull += options_.beta * (ratio - 1);
        counts_.kl += kl;
        ++counts_.kl_tokens;
      }
      scales[i] = static_cast<float>(scale * pull);
    }
  }
  k.AddSum(k.Upload(std::vector{loss}), 1, sums.loss);
  k.AddSum(k.Upload(losses), 1, sums.parts.ce);
  if (pass.context().tape) pass.Losses(hidden, ops::CrossEntropy(pass.targets(), k.Upload(scales)));
}

std::vector<Extra> Grpo::TakeExtras() {
  if (counts_.answers == 0) return {};
  const Counts c = std::exchange(counts_, {});
  const auto n = static_cast<double>(c.answers);
  std::vector<Extra> out = {{"reward", c.reward / n},
                            {"reward_deviation", c.deviation / static_cast<double>(c.prompts)},
                            {"ended", c.ended / n},
                            {"answer_tokens", c.tokens / n}};
  if (c.kl_tokens > 0) out.emplace_back("kl", c.kl / static_cast<double>(c.kl_tokens));
  return out;
}

}  // namespace retort
