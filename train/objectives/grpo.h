// SPDX-License-Identifier: Apache-2.0
// Group relative policy optimisation (arXiv 2402.03300): several answers are sampled to each row's
// prompt, and the model is moved towards those that a reward finds better than the others.
//
//   A      (reward - mean) / (deviation + 1e-4), over the answers to one prompt
//   loss   sum over the answers' tokens of A (-log p) + beta (r - log r - 1), over their number;
//          r = p_ref / p. One update is made with each answer, so the ratio to the policy that
//          sampled it is 1 and is never clipped. Tokens count alike, whatever the length of their
//          answer (arXiv 2503.14476).
//
// Answers to a prompt that all have the same reward teach nothing; without beta they are left out.
#pragma once

#include <deque>
#include <memory>
#include <unordered_map>

#include "train/objectives/objective.h"
#include "train/objectives/sampled_answers.h"
#include "train/reward.h"

namespace retort {

struct GrpoOptions {
  int64_t answers = 8;  // to each prompt; at least 2
  double beta = 0;      // how much the reference holds the model back
  SampledAnswersOptions sampling;
};

class Grpo : public Objective {
 public:
  // Everything but the reward is borrowed. `reference`: the reference's adapter, null for the base.
  Grpo(std::unique_ptr<Reward> reward, const Model& model, const Adapter* adapter,
       const Adapter* reference, const Tokenizer& tokenizer, const GrpoOptions& options);

  int64_t Prepare(StepBatch& step, int64_t number) override;
  void Run(TrainingPass& pass, float scale, LossSums& sums) override;
  // Of the step's answers: the mean reward, the deviation within a prompt's, the share that ended
  // by themselves, the mean length in tokens, and with beta the mean of r - log r - 1.
  std::vector<Extra> TakeExtras() override;

 private:
  struct Counts {
    double reward = 0, deviation = 0, ended = 0, tokens = 0, kl = 0;
    int64_t answers = 0, prompts = 0, kl_tokens = 0;
  };
  void Weigh(std::vector<SampledAnswers::Answer>& answers, const std::vector<double>& rewards,
             MicroBatch& micro, int64_t order);
  std::vector<double> ReferenceLosses(const TrainingPass& pass) const;

  std::unique_ptr<Reward> reward_;
  const Adapter* reference_;
  const Tokenizer& tokenizer_;
  const GrpoOptions options_;
  SampledAnswers sampler_;
  std::deque<Example> rows_;                              // of the current step
  std::unordered_map<const Example*, double> advantage_;  // of these
  Counts counts_;
};

}  // namespace retort
