// SPDX-License-Identifier: Apache-2.0
// A model's own answers to some prompts, to be looked at.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "eval/answers.h"
#include "model/model.h"
#include "runner/engine/request.h"

namespace retort {

struct SampleOptions {
  int64_t max_tokens = 1024;     // of prompt and answer
  int64_t max_new_tokens = 256;  // of an answer
  DType cache_type = DType::kF32;
  std::shared_ptr<const Grammar> grammar;  // what the answers are held to; null: nothing
};

// What the model answers to each prompt, greedily. A prompt that is too long is answered with "".
// Calls `on_progress` with the number of prompts done, after each token.
std::vector<std::string> AnswerPrompts(const Model& model, const Adapter* adapter,
                                       const Tokenizer& tokenizer, const ChatTemplate* chat,
                                       const std::vector<Answer>& prompts,
                                       const SampleOptions& options,
                                       const std::function<void(int64_t done)>& on_progress = {});

}  // namespace retort
