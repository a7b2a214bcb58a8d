// SPDX-License-Identifier: Apache-2.0
// Holds an answer to a grammar: which tokens it may go on with, and which it must.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "grammar/grammar.h"
#include "tokenizer/tokenizer.h"

namespace retort {

struct AnswerConstraint {
  std::shared_ptr<const Grammar> grammar;  // null: none
  // A thought that the prompt has opened is free; the grammar begins behind the mark that closes
  // it.
  bool in_thought = false;
  std::string think_close = {};
};

class ConstrainedAnswer {
 public:
  // The grammar is not null, and its vocabulary is that of the tokenizer.
  explicit ConstrainedAnswer(AnswerConstraint constraint);

  // Sets the logits of all tokens that may not follow to -infinity; those of `ends` stay where, and
  // only where, the answer may end. Throws Error{kFailure} if no token is left.
  void Mask(std::span<float> logits, std::span<const int32_t> ends);
  // How many of the tokens may follow one after the other, as far as is known yet. Reads none.
  // Nothing where that takes the grammar too long (Matcher::CountAllowed).
  std::optional<size_t> CountAllowed(std::span<const int32_t> ids) const;
  // Reads the token that was chosen.
  void Accept(int32_t id);
  // The answer is complete, and nothing could follow.
  bool complete() const { return started_ && !matcher_.CanGoOn(); }

  // Tokens that follow whatever the model says: what the grammar forces behind the last token
  // `last`, tokenised together with it as a text of the training data would be. The first one takes
  // the place of `last`. Empty where nothing is forced. A token at the end that could be the
  // beginning of a longer one is left to the model. To be called behind Accept(last); reads them.
  std::vector<int32_t> Force(int32_t last, const Tokenizer& tokenizer);

 private:
  AnswerConstraint constraint_;
  Matcher matcher_;
  bool started_;
  std::string thought_;  // its end, to find the mark in
  std::vector<uint64_t> bits_;
};

}  // namespace retort
