// SPDX-License-Identifier: Apache-2.0
// How a served model's chats are answered: what of its text is thought, content and calls, and how
// a call that is asked for begins.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runner/answer/answer_parser.h"
#include "runner/api/error.h"
#include "runner/api/tools.h"
#include "runner/engine/constrained_answer.h"
#include "runner/engine/forced_tokens.h"
#include "runner/engine/grammar_cache.h"
#include "template/chat_template.h"

namespace retort {

class ChatAnswers {
 public:
  // The tokenizer must outlive it. Reads the format of answers from the chat template.
  ChatAnswers(const ChatTemplate& chat, const Tokenizer& tokenizer);

  // Control tokens that are marks of answers, which a parser must see.
  const std::vector<int32_t>& shown_ids() const { return shown_ids_; }
  // Throws ApiError if the request has tools, and it is not known how this model calls them.
  void CheckTools(const ApiTools& tools) const;
  // Puts the thoughts of earlier answers where the template has them.
  void PlaceEarlierThoughts(std::vector<Message>& messages) const;
  // Whether an answer goes on within a thought: one that the template's end of the prompt opens, or
  // `begun` does, the beginning of the answer that the prompt ends with; and does not close.
  bool BeginsInThought(const std::vector<int32_t>& prompt, const std::string& begun) const;
  // What the answer is held to so that calls keep their tools' schemas; null: to nothing. Throws
  // ApiError on schemas that cannot be kept.
  std::shared_ptr<const Grammar> HeldTo(const ApiTools& tools, bool in_thought) const;
  // The beginning of the call that the request asks for, where no grammar says it. Throws ApiError
  // if it is not known how a call begins. Empty if none is asked for.
  ForcedTokens Forced(const ApiTools& tools, bool in_thought) const;
  // Lets an answer whose prompt has opened a thought think before it is held to a grammar.
  void LetThink(AnswerConstraint& constraint, bool in_thought) const {
    constraint.in_thought = in_thought;
    constraint.think_close = format_.think_close;
  }
  std::unique_ptr<AnswerParser> Parser(const ApiTools& tools, bool stream, bool in_thought) const;
  // An id that the template takes, of 24 or 9 characters that are drawn from `random`.
  std::string CallId(uint64_t random) const;

 private:
  const Tokenizer& tokenizer_;
  const AnswerFormat format_;
  std::vector<int32_t> shown_ids_;
  mutable GrammarCache grammars_;  // of calls; thread-safe
};

}  // namespace retort
