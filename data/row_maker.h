// SPDX-License-Identifier: Apache-2.0
// Turns single rows into examples. What follows from all rows together: data/make_examples.cc.
#pragma once

#include <string>
#include <vector>

#include "data/audit.h"
#include "data/example_hash.h"
#include "data/examples.h"

namespace retort {

// A row's answers as examples, and what is to be said of them.
struct MadeRow {
  struct Answer {
    Auditor::Look look;
    bool over = false, had_loss = false;  // over max_tokens; before it was cut
    std::vector<Example> parts;
    std::vector<ExampleHash> hashes;  // of the parts
  };
  Auditor::Place place;
  std::string fault;  // what it is refused for, without its place; "" if it is not
  bool dropped = false, rewritten = false;
  bool same = false;  // a pair's two answers, as they are trained
  std::vector<Answer> answers;
};

// Thread-safe. Everything is borrowed; `chat` may be null.
class RowMaker {
 public:
  RowMaker(const Rows& rows, const Tokenizer& tokenizer, const ChatTemplate* chat,
           const ExampleOptions& options, const Auditor& auditor)
      : rows_(rows), tokenizer_(tokenizer), chat_(chat), options_(options), auditor_(auditor) {}

  // A row is taken whole, or left out with all its answers.
  MadeRow Make(int64_t index) const;

 private:
  void Fill(const Row& row, int64_t index, MadeRow& out) const;

  const Rows& rows_;
  const Tokenizer& tokenizer_;
  const ChatTemplate* chat_;
  const ExampleOptions& options_;
  const Auditor& auditor_;
};

}  // namespace retort
