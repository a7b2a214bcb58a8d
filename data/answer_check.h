// SPDX-License-Identifier: Apache-2.0
// Holds the answers of rows to a JSON Schema before they are learnt.
#pragma once

#include <memory>
#include <string>

#include "data/example.h"
#include "data/rows.h"
#include "grammar/lasting_grammar.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// Of a row, what is checked is its completion, or every turn of the assistant that is to be learnt
// and has a content, white space at its ends aside. Answers that are not to be given (Row::wanted)
// may be anything. Thread-safe.
class AnswerCheck {
 public:
  // The first `kMostSearched` of `rows` decide on white space: it is the strictest kind (JsonSpace,
  // in its order) that all of their answers have which satisfy the schema at all. If all of these
  // are completions that begin with a space, it stands before the answer (GrammarSource::before).
  // last: of a conversation only the last turn that is to be learnt counts. `where` begins every
  // error about the schema. Throws Error{kInput} where the schema is not supported
  // (docs/grammars.md).
  AnswerCheck(const std::string& schema, const std::string& where, const Rows& rows, bool last,
              const Tokenizer& tokenizer);
  static constexpr int64_t kMostSearched = 10000;

  // The schema with the rows' white space.
  const GrammarSource& source() const { return grammar_.source(); }
  // "answers    are held to schema.json, written as {"a":1}".
  std::string Note() const;
  // What the answers are held to, with the tokenizer's vocabulary.
  std::shared_ptr<const Grammar> grammar() const { return grammar_.Get(); }

  // Throws Error{kInput} naming the row if an answer does not satisfy the schema, or if the row is
  // of a kind that has no answer.
  void Check(const Row& row) const;

  // Takes the loss off every token that the schema leaves no choice in: those that a runner feeds
  // without asking the model (Matcher::ForcedText). Of an answer that begins with a thought all
  // tokens keep theirs, and so does the end token. Not for rows with tools, whose calls no schema
  // holds.
  void LeaveForced(Example& example) const;

 private:
  static int64_t CountForced(Matcher& at, const Example& example, int64_t begin, int64_t end);

  bool last_;
  LastingGrammar grammar_;
  LastingGrammar flexible_;  // with any white space, to say what else is wrong
};

}  // namespace retort
