// SPDX-License-Identifier: Apache-2.0
// Learning from the teacher's opinion of the student's own answers (GKD, arXiv 2306.13649): a share
// lambda of each step's rows gets the answer that the student gives to their prompts now.
#pragma once

#include <deque>
#include <memory>

#include "runner/engine.h"
#include "train/objectives/objective.h"

namespace retort {

struct OnPolicyOptions {
  double lambda = 1;       // probability that a row's answer is the student's
  double temperature = 1;  // of its sampling; 0: greedy
  int64_t max_new_tokens = 128;
  int64_t max_tokens = 1024;  // of a row: prompt and answer
  uint64_t seed = 1;
  std::vector<int32_t> stop_ids;  // that end an answer, beside the model's own ends
  int64_t parallel = 32;          // streams of the runner at once
  DType cache_type = DType::kF32;
};

class OnPolicyDistillation : public Objective {
 public:
  // `scorer` says what the teacher thinks of the rows. The student, its adapter (may be null) and
  // tokenizer are borrowed.
  OnPolicyDistillation(std::unique_ptr<Objective> scorer, const Model& student,
                       const Adapter* adapter, const Tokenizer& tokenizer,
                       const OnPolicyOptions& options);

  // A row's prompt is what stands before its first token that carries loss. Which rows are drawn
  // and what is sampled depends on the seed, the step and the row's place in the data order, not on
  // how the batch is cut.
  int64_t Prepare(StepBatch& step, int64_t number) override;
  int64_t Terms(const StepBatch& step) const override { return scorer_->Terms(step); }
  void Run(TrainingPass& pass, float scale, LossSums& sums) override {
    scorer_->Run(pass, scale, sums);
  }
  std::vector<Parameter*> parameters() override { return scorer_->parameters(); }

 private:
  struct Answer;
  void Submit(const Example& row, int64_t order, int64_t number, Answer& answer);

  std::unique_ptr<Objective> scorer_;
  const OnPolicyOptions options_;
  Engine engine_;
  std::deque<Example> rows_;  // of the present step; addresses stay
};

}  // namespace retort
