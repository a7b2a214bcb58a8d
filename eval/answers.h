// SPDX-License-Identifier: Apache-2.0
// Rows with an expected answer: the model's prompt and the expected text.
#pragma once

#include <string>
#include <vector>

#include "data/examples.h"
#include "runner/engine/sampling/options.h"

namespace retort {

struct Answer {
  std::string where;            // "eval.jsonl:17"
  std::vector<int32_t> prompt;  // the runner's input ids
  std::string text;             // as in the row, white space included
  bool chat = false;            // an assistant's turn, as opposed to a completion
  // Of a turn that is more than its content (calls of tools, a thought): its ids, whose text is
  // `text`. Otherwise empty.
  std::vector<int32_t> turn = {};
};

// The completion of each prompt_completion row, the last assistant turn of each conversation.
// A turn's text is its content, or all that the model has to write if it is more than that.
// Throws Error{kInput} naming a row of another kind, or a conversation that does not end with an
// assistant turn. chat may be null if no row is a conversation.
std::vector<Answer> ReadAnswers(const Rows& rows, const Tokenizer& tokenizer,
                                const ChatTemplate* chat);

// The ids after the prompt if the model answers with `text`: a completion and, with add_eos, the
// end token; or an assistant's turn with its end-of-turn token, regardless of add_eos.
std::vector<int32_t> EncodeAnswer(const Answer& like, const std::string& text,
                                  const Tokenizer& tokenizer, const ChatTemplate* chat,
                                  bool add_eos);

// Whether prompt and answer fit max_tokens. If not, returns false for kDrop and throws
// Error{kInput} naming the row for kError, kTruncate and kSplit (an answer can be neither truncated
// nor split).
bool AnswerFits(const Answer& answer, int64_t answer_tokens, int64_t max_tokens,
                OverLength over_length);

// Greedy, and with a template up to the end of the turn.
SamplingOptions GreedyAnswers(const ChatTemplate* chat, const Tokenizer& tokenizer);

}  // namespace retort
