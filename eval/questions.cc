// SPDX-License-Identifier: Apache-2.0
#include "eval/questions.h"

#include <algorithm>

namespace retort {
namespace {

EngineOptions EngineOptionsOf(const QuestionOptions& options, const Architecture& config) {
  EngineOptions out;
  out.context = std::min(options.max_tokens, config.max_positions);
  out.cache_type = options.cache_type;
  out.parallel = options.parallel;
  return out;
}

}  // namespace

Questions::Questions(const Model& model, const Adapter* adapter, const Tokenizer& tokenizer,
                     const ChatTemplate* chat, const QuestionOptions& options)
    : tokenizer_(tokenizer),
      chat_(chat),
      options_(options),
      engine_(model, adapter, tokenizer, EngineOptionsOf(options, model.config)),
      sampling_(GreedyAnswers(chat, tokenizer)) {
  if (options.grammar && chat) chat_answers_.emplace(*chat, tokenizer);
}

std::optional<int64_t> Questions::ExpectedTokens(const Answer& answer) {
  const int64_t tokens = std::ssize(EncodeAnswer(answer, answer.text, tokenizer_, chat_, true));
  if (AnswerFits(answer, tokens, engine_.context(), options_.over_length)) return tokens;
  LeaveOut();
  return std::nullopt;
}

int64_t Questions::RoomBehind(const Answer& answer) const {
  return engine_.context() - std::ssize(answer.prompt);
}

// A thought that the prompt has opened is free.
AnswerConstraint Questions::ConstraintBehind(const std::vector<int32_t>& prompt) const {
  AnswerConstraint out{options_.grammar};
  if (chat_answers_) chat_answers_->LetThink(out, chat_answers_->BeginsInThought(prompt, ""));
  return out;
}

void Questions::Ask(const Answer& answer, int64_t max_new_tokens,
                    std::function<bool(const GenerationEvent&)> on_event) {
  GenerationRequest request;
  request.prompt = answer.prompt;
  request.sampling = sampling_;
  request.sampling.max_tokens = max_new_tokens;
  request.on_event = std::move(on_event);
  request.constraint = ConstraintBehind(answer.prompt);
  requests_.Submit(std::move(request));
}

void Questions::Run(const std::function<void(int64_t)>& on_progress) {
  requests_.Run([&](int64_t ended) {
    if (on_progress) on_progress(dropped_ + ended);
  });
}

}  // namespace retort
