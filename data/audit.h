// SPDX-License-Identifier: Apache-2.0
// What goes silently wrong in training data, looked for before the training starts.
//
// Faults (audit stop refuses them, warn notes them; in rows of format tokens they are only noted):
//   a row in which no token carries loss
//   BOS twice at the beginning
//   more than a tenth of the rows teach the token for what the tokenizer does not know
// Notes, never a reason to stop:
//   the share of unknown tokens, and rows that teach one below that limit
//   an assistant's or completion's end token that is nowhere learnt
//   empty completions, prompts that end in a space
//   content that spells special tokens (it is read as plain characters)
//   rows that occur more than once (a source's weight aside); evaluation rows that occur in the
//   training rows
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/examples.h"

namespace retort {

// Collects over the rows of one set, then judges. Does nothing with Audit::kOff.
class Auditor {
 public:
  Auditor(const Tokenizer& tokenizer, const ExampleOptions& options);

  // Every row once, before its length is looked at.
  void Add(const Row& row, const Example& example);
  // A row of which nothing that carries loss is left; had_loss: before it was cut.
  void NoLoss(const Row& row, bool had_loss);
  // Appends the findings to notes. Throws Error{kInput} on the first fault with Audit::kStop.
  void Judge(std::vector<std::string>& notes) const;

 private:
  struct Finding {
    int64_t count = 0;
    int64_t given = 0;  // of them, rows of format tokens
    std::string first;  // where
    void Add(const Row& row);
  };
  void LookAtText(const Row& row);
  void LookAtIds(const Row& row, const Example& example);

  const Tokenizer& tokenizer_;
  const ExampleOptions& options_;
  std::vector<std::string> special_texts_;
  std::unordered_map<uint64_t, std::string> seen_;  // hash of the ids, and where they were
  int64_t rows_ = 0, tokens_ = 0, unknown_ = 0, ends_learnt_ = 0;
  Finding no_loss_, cut_away_, double_bos_, empty_, trailing_space_, special_text_, repeated_,
      unknown_row_, unknown_learnt_;
};

// "12 of 1000 evaluation rows also occur in the training rows (first: eval.jsonl:3)", or "".
std::string OverlapNote(const ExampleSet& train, const ExampleSet& eval, const Rows& eval_rows);

}  // namespace retort
