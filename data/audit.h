// SPDX-License-Identifier: Apache-2.0
// Checks training data before training for errors that would otherwise go unnoticed.
//
// Faults (audit "stop" refuses them, "warn" notes them; in rows of format tokens they are only noted):
//   a row in which no token carries loss
//   every pair's two answers are the same
//   BOS twice at the beginning
//   the unknown token carries loss in more than a tenth of the rows
// Notes, which never stop a run:
//   the share of unknown tokens, and rows below that limit in which one carries loss
//   the end token of assistant turns or completions carries loss nowhere
//   pairs whose two answers are the same
//   answers that begin with their whole prompt
//   empty answers, prompts that end in a space, characters that stand for what could not be decoded
//   content that spells special tokens, however short (it is read as plain characters)
//   rows that occur more than once (other than through a source's weight); evaluation rows that
//   occur in the training rows
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "data/examples.h"
#include "data/row_faults.h"
#include "tokenizer/special_texts.h"

namespace retort {

// Collects findings over the rows of one set, then reports them. Does nothing with Audit::kOff.
class Auditor {
 public:
  Auditor(const Tokenizer& tokenizer, const ExampleOptions& options);

  // What is to be said of one answer of a row.
  struct Look {
    bool empty = false, damaged = false, trailing_space = false, double_bos = false;
    bool repeats = false;  // the answer begins with the whole prompt
    bool unknown_learnt = false, end_learnt = false;
    std::string special;  // the first special token that is spelt in the text; "" if none
    int64_t tokens = 0, unknown = 0;
    uint64_t hash = 0;  // of the ids
  };
  // Call for every answer of a row that is not left out for its length, before it is cut.
  // Thread-safe.
  Look LookAt(const Row& row, const Example& example) const;

  // Where a row stands, and its number.
  struct Place {
    std::string where;
    RowFormat kind;
    int64_t row;
  };
  // Take up what was seen, in the rows' order: a row, and then each of its answers.
  void AddRow(const Place& place, bool same_answers);
  void Add(const Place& place, const Look& look);
  // Call for a row without any token that carries loss; had_loss: it had some before truncation.
  void NoLoss(const Place& place, bool had_loss);
  // Appends the findings to notes, with Audit::kStop the faults among them to `faults`.
  // rows: those that were added, to name them.
  void Judge(const Rows& rows, std::vector<std::string>& notes, RowFaults& faults);

 private:
  struct Finding {
    static constexpr int64_t kMostPlaces = 9;
    int64_t count = 0;
    int64_t given = 0;   // of these, rows of format tokens
    int64_t last = -1;   // a row counts once, though both its answers have it
    std::string first;   // location of the first
    std::string others;  // lines of the next few
    void Add(const Place& place);
  };
  void LookAtText(const Row& row, Look& look) const;
  void LookAtIds(const Row& row, const Example& example, Look& look) const;
  void FindRepeated(const Rows& rows);

  const Tokenizer& tokenizer_;
  const ExampleOptions& options_;
  SpecialTexts special_texts_;
  std::string special_spelt_;  // the first
  // Twelve bytes an example, of which there may be millions.
  struct [[gnu::packed]] Seen {
    uint64_t hash;  // of the ids
    uint32_t row;
  };
  std::vector<Seen> seen_;
  int64_t rows_ = 0, tokens_ = 0, unknown_ = 0, ends_learnt_ = 0;
  Finding no_loss_, cut_away_, double_bos_, empty_, damaged_, trailing_space_, special_text_,
      repeated_, unknown_row_, unknown_learnt_, same_answers_, repeats_;
};

// "12 of 1000 evaluation rows also occur in the training rows (first: eval.jsonl:3)", or "".
std::string OverlapNote(const ExampleSet& train, const ExampleSet& eval, const Rows& eval_rows);

}  // namespace retort
