// SPDX-License-Identifier: Apache-2.0
// Rows that ask for an answer: what the model is given, and what it should say.
#pragma once

#include <string>
#include <vector>

#include "data/examples.h"

namespace retort {

struct Answer {
  std::string where;            // "eval.jsonl:17"
  std::vector<int32_t> prompt;  // the ids that the runner is fed
  std::string text;             // as the row has it, white space included
  bool chat = false;            // an assistant's turn, as opposed to a completion
};

// The completion of each prompt_completion row, the last assistant turn of each conversation.
// Throws Error{kInput} naming a row of another kind, or a conversation that does not end with the
// assistant. chat may be null where no row is a conversation.
std::vector<Answer> ReadAnswers(const Rows& rows, const Tokenizer& tokenizer,
                                const ChatTemplate* chat);

// What follows the prompt when the model answers with `text`: a completion and, with add_eos, the
// end token; or an assistant's turn with its end-of-turn token, whatever add_eos says.
std::vector<int32_t> EncodeAnswer(const Answer& like, const std::string& text,
                                  const Tokenizer& tokenizer, const ChatTemplate* chat,
                                  bool add_eos);

// Whether prompt and answer fit max_tokens. False: to be left out (kDrop). Throws Error{kInput}
// naming the row, for kError, and for kTruncate and kSplit, which make no sense of an answer.
bool AnswerFits(const Answer& answer, int64_t answer_tokens, int64_t max_tokens,
                OverLength over_length);

}  // namespace retort
