// SPDX-License-Identifier: Apache-2.0
// Holds the answers of rows to a JSON Schema before they are learnt.
#pragma once

#include <memory>
#include <string>

#include "data/example.h"
#include "data/rows.h"
#include "grammar/compile.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// Of a row, what is checked is its completion, or every turn of the assistant that is to be learnt
// and has a content. Thread-safe.
class AnswerCheck {
 public:
  // `rows` decide on white space: it is the strictest kind (JsonSpace, in its order) that all of
  // their answers have which satisfy the schema at all. `where` begins every error about the
  // schema. Throws Error{kInput} where the schema is not supported (docs/grammars.md).
  AnswerCheck(const std::string& schema, const std::string& where, const Rows& rows,
              const Tokenizer& tokenizer);

  // The schema with the rows' white space.
  const GrammarSource& source() const { return source_; }

  // What the answers are held to, with the tokenizer's vocabulary.
  const std::shared_ptr<const Grammar>& grammar() const { return grammar_; }

  // Throws Error{kInput} naming the row if an answer does not satisfy the schema, or if the row is
  // of a kind that has no answer.
  void Check(const Row& row) const;

  // Takes the loss off every token that the schema leaves no choice in: those that a runner feeds
  // without asking the model (Matcher::ForcedText). Of an answer that begins with a thought all
  // tokens keep theirs, and so does the end token.
  void LeaveForced(Example& example) const;

 private:
  int64_t CountForced(Matcher& at, const Example& example, int64_t begin, int64_t end) const;

  std::string where_;
  GrammarSource source_;
  std::shared_ptr<const Grammar> grammar_;
  std::shared_ptr<const Grammar> flexible_;  // with any white space, to say what else is wrong
};

}  // namespace retort
