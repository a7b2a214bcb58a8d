// SPDX-License-Identifier: Apache-2.0
// Distillation on the student's own answers (GKD, arXiv 2306.13649). For a share lambda of each
// step's rows, the answer is replaced by one that the student generates from the row's prompt with
// its current weights.
#pragma once

#include <deque>
#include <memory>

#include "train/objectives/objective.h"
#include "train/objectives/sampled_answers.h"

namespace retort {

struct OnPolicyOptions {
  double lambda = 1;  // probability that a row's answer is the student's
  SampledAnswersOptions sampling;
};

class OnPolicyDistillation : public Objective {
 public:
  // `scorer` computes the teacher's loss on the rows. The student, its adapter (may be null) and
  // tokenizer are borrowed.
  OnPolicyDistillation(std::unique_ptr<Objective> scorer, const Model& student,
                       const Adapter* adapter, const Tokenizer& tokenizer,
                       const OnPolicyOptions& options);

  // A row's prompt is all tokens before the first one that carries loss. Which rows are chosen and
  // what is sampled depends on the seed, the step and the row's position in the data order, not on
  // the cut into micro-batches.
  int64_t Prepare(StepBatch& step, int64_t number) override;
  int64_t Terms(const StepBatch& step) const override { return scorer_->Terms(step); }
  void Run(TrainingPass& pass, float scale, LossSums& sums) override {
    scorer_->Run(pass, scale, sums);
  }
  std::string teacher() const override { return scorer_->teacher(); }
  std::vector<Parameter*> parameters() override { return scorer_->parameters(); }

 private:
  std::unique_ptr<Objective> scorer_;
  const OnPolicyOptions options_;
  SampledAnswers answers_;
  std::deque<Example> rows_;  // generated for the current step; a deque, so addresses are stable
};

}  // namespace retort
