// SPDX-License-Identifier: Apache-2.0
// Rows' prompts that are put to a model, which answers greedily.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "eval/answers.h"
#include "runner/engine/request_group.h"
#include "runner/service/chat_answer.h"

namespace retort {

struct QuestionOptions {
  int64_t max_tokens = 1024;  // of prompt and answer
  OverLength over_length = OverLength::kError;
  DType cache_type = DType::kF32;
  int64_t parallel = 16;
  std::shared_ptr<const Grammar> grammar;  // what the answers are held to; null: nothing
};

class Questions {
 public:
  // All are borrowed; adapter and chat may be null.
  Questions(const Model& model, const Adapter* adapter, const Tokenizer& tokenizer,
            const ChatTemplate* chat, const QuestionOptions& options);

  // How many tokens the expected answer has. nullopt: with its prompt too many, and the row is left
  // out, or its fault is thrown (AnswerFits).
  std::optional<int64_t> ExpectedTokens(const Answer& answer);
  // How many tokens an answer may have behind the prompt.
  int64_t RoomBehind(const Answer& answer) const;
  void LeaveOut() { ++dropped_; }
  // on_event: as of GenerationRequest.
  void Ask(const Answer& answer, int64_t max_new_tokens,
           std::function<bool(const GenerationEvent&)> on_event);
  // Until all are answered. Calls `on_progress` with the number of rows done, those left out among
  // them.
  void Run(const std::function<void(int64_t done)>& on_progress);

  int64_t dropped() const { return dropped_; }
  int64_t tokens() const { return engine_.counts().generated_tokens; }

 private:
  AnswerConstraint ConstraintBehind(const std::vector<int32_t>& prompt) const;

  const Tokenizer& tokenizer_;
  const ChatTemplate* chat_;
  const QuestionOptions options_;
  Engine engine_;
  SamplingOptions sampling_;
  std::optional<ChatAnswers> chat_answers_;  // where a grammar holds them
  RequestGroup requests_{engine_};
  int64_t dropped_ = 0;
};

}  // namespace retort
