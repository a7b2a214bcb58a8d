// SPDX-License-Identifier: Apache-2.0
#include "train/objectives/on_policy.h"

#include "base/random.h"

namespace retort {

OnPolicyDistillation::OnPolicyDistillation(std::unique_ptr<Objective> scorer, const Model& student,
                                           const Adapter* adapter, const Tokenizer& tokenizer,
                                           const OnPolicyOptions& options)
    : scorer_(std::move(scorer)),
      options_(options),
      answers_(student, adapter, tokenizer, options.sampling) {}

int64_t OnPolicyDistillation::Prepare(StepBatch& step, int64_t number) {
  std::vector<const Example**> places;  // in the step, of the rows that are replaced
  std::vector<SampledAnswers::Wanted> wanted;
  for (MicroBatch& micro : step.micro) {
    for (size_t r = 0; r < micro.rows.size(); ++r) {
      if (!answers_.MayAsk(*micro.rows[r])) continue;
      RandomStream draw(MakeKey(options_.sampling.seed, RandomUse::kData,
                                static_cast<uint64_t>(number),
                                static_cast<uint64_t>(micro.order[r])));
      if (draw.Uniform() >= options_.lambda) continue;
      places.push_back(&micro.rows[r]);
      wanted.push_back({micro.rows[r], number, micro.order[r]});
    }
  }
  std::vector<SampledAnswers::Answer> answers = answers_.Sample(wanted);
  rows_.clear();
  int64_t generated = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    generated += answers[i].row.LossTokens();
    *places[i] = &rows_.emplace_back(std::move(answers[i].row));
  }
  CountTokens(step);
  return generated;
}

}  // namespace retort
