// SPDX-License-Identifier: Apache-2.0
// Answers that the model in training gives to its rows' prompts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/packing.h"
#include "runner/engine/request_group.h"

namespace retort {

struct SampledAnswersOptions {
  double temperature = 1;  // 0: greedy
  int64_t max_new_tokens = 128;
  int64_t max_tokens = 1024;  // of a row: prompt and answer
  uint64_t seed = 1;
  std::vector<int32_t> stop_ids;  // end an answer, in addition to the model's own end tokens
  int64_t parallel = 32;          // answers generated at the same time
  DType cache_type = DType::kF32;
};

// A row's own answer: the last run of tokens that carry loss. It begins at Example::answer at the
// earliest, since the tokens before that one may carry loss too.
std::vector<int32_t> OwnAnswerOf(const Example& row);
// All tokens before that answer.
std::vector<int32_t> PromptOf(const Example& row);

class SampledAnswers {
 public:
  // Everything is borrowed; the adapter may be null.
  SampledAnswers(const Model& model, const Adapter* adapter, const Tokenizer& tokenizer,
                 const SampledAnswersOptions& options);

  // Whether the row carries loss and its prompt leaves room for an answer.
  bool MayAsk(const Example& row) const;

  struct Wanted {
    const Example* row;
    // What is sampled depends on the seed and these two alone: the step, and a number that differs
    // among its answers.
    int64_t step, number;
  };
  struct Answer {
    // The prompt and the answer, whose tokens carry loss, that of its end too; `generated` is set.
    Example row;
    std::string text;
    bool ended = false;  // by itself, not by the limit of tokens
  };
  // In the order of `wanted`.
  std::vector<Answer> Sample(const std::vector<Wanted>& wanted);

 private:
  void Submit(const Wanted& wanted, Answer& answer, RequestGroup& requests);

  const SampledAnswersOptions options_;
  Engine engine_;
};

// Counts the step's tokens anew, after its rows were replaced.
void CountTokens(StepBatch& step);

}  // namespace retort
