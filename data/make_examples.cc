// SPDX-License-Identifier: Apache-2.0
// Turns rows into examples: encodes and audits them, and applies the limit of tokens.
#include <algorithm>

#include "base/error.h"
#include "data/audit.h"
#include "data/examples.h"

namespace retort {
namespace {

constexpr int64_t kMostFaults = 10000;  // after which no more are looked for

// Whether all of a row is wanted, however long it is.
bool WantsWhole(OverLength over_length) {
  return over_length == OverLength::kTruncate || over_length == OverLength::kSplit;
}

// The parts of a row that is wanted whole, or fits.
std::vector<Example> Fit(Example example, const ExampleOptions& options, ExampleSet& set) {
  const int64_t limit = options.max_tokens;
  if (example.size() <= limit) return {std::move(example)};
  if (options.over_length == OverLength::kTruncate) {
    ++set.truncated;
    example.ids.resize(limit);
    example.labels.resize(limit);
    return {std::move(example)};
  }
  ++set.split;
  std::vector<Example> parts;
  for (int64_t begin = 0; begin + 1 < example.size(); begin += limit - 1) {
    const int64_t end = std::min(begin + limit, example.size());
    Example part{example.row,
                 {example.ids.begin() + begin, example.ids.begin() + end},
                 {example.labels.begin() + begin, example.labels.begin() + end}};
    part.labels[0] = kNoLoss;  // predicted in the previous part
    if (part.LossTokens() > 0) parts.push_back(std::move(part));
  }
  // A row without any loss is returned once, so that the caller can report it.
  if (parts.empty()) {
    example.ids.resize(limit);
    example.labels.resize(limit);
    parts.push_back(std::move(example));
  }
  return parts;
}

void AddCounts(ExampleSet& set, int64_t max_tokens) {
  const auto note = [&](int64_t count, std::string_view what) {
    if (count) {
      set.notes.push_back(
          Cat(count, " of ", set.rows, " rows are over ", max_tokens, " tokens and were ", what));
    }
  };
  note(set.dropped, "left out");
  note(set.truncated, "cut short");
  note(set.split, "split");
}

// What is done with a row that is over max_tokens and not wanted whole. The error tells how long a
// row is unless that would take long to find out.
void Refuse(const Row& row, const Tokenizer& tokenizer, const ChatTemplate* chat,
            const ExampleOptions& options, ExampleSet& set) {
  if (options.over_length == OverLength::kDrop) {
    ++set.dropped;
    return;
  }
  const int64_t known = 16 * options.max_tokens;
  const auto whole = EncodeRowAtMost(row, tokenizer, chat, options, static_cast<size_t>(known));
  throw InputError(row.where, ": has ", whole ? Cat(whole->size()) : Cat("more than ", known),
                   " tokens, over the limit of ", options.max_tokens,
                   options.model_limit ? ", the model's positions; "
                                       : Cat("; raise ", options.max_tokens_name, " or "),
                   "set ", options.over_length_name, " to drop, truncate or split");
}

// The row's answers, as rows of one each: that of the row itself first.
std::vector<const Row*> AnswersOf(const Row& row, Answers answers) {
  switch (answers) {
    case Answers::kOne:
      if (!row.wanted) return {&row};
      throw InputError(row.where, ": ",
                       row.rejected ? "holds a preferred and a rejected answer; set "
                                      "preference.method to dpo, orpo or kto to learn from both"
                                    : "holds an answer and whether it is wanted; set "
                                      "preference.method to kto to learn from both",
                       ", or keep rows of one answer each");
    case Answers::kPairs:
      if (row.rejected) return {&row, row.rejected.get()};
      throw InputError(row.where,
                       ": is not a pair of answers; preference.method dpo and orpo need "
                       "rows of 'prompt', 'chosen' and 'rejected'");
    case Answers::kJudged:
      if (row.rejected) return {&row, row.rejected.get()};
      if (row.wanted) return {&row};
      throw InputError(row.where,
                       ": does not say whether its answer is wanted; preference.method kto needs "
                       "rows of 'prompt', 'completion' and 'label', or of 'prompt', 'chosen' and "
                       "'rejected'");
  }
  return {};
}

// Turns rows into examples, one after the other.
class ExampleMaker {
 public:
  ExampleMaker(const Tokenizer& tokenizer, const ChatTemplate* chat, const ExampleOptions& options)
      : tokenizer_(tokenizer), chat_(chat), options_(options), auditor_(tokenizer, options) {}

  // A row is taken whole, or left out with all its answers.
  void Add(const Row& row, int64_t index) {
    std::vector<Example> answers;
    for (const Row* one : AnswersOf(row, options_.answers)) {
      std::optional<Example> example = EncodeRowAtMost(
          *one, tokenizer_, chat_, options_,
          WantsWhole(options_.over_length) ? kNoLimit : static_cast<size_t>(options_.max_tokens));
      if (!example) return Refuse(*one, tokenizer_, chat_, options_, set_);
      example->row = index;
      example->wanted = one->wanted.value_or(true);
      example->joined = options_.answers == Answers::kPairs && !answers.empty();
      if (example->ids.empty()) throw InputError(row.where, ": the row is empty");
      answers.push_back(std::move(*example));
    }
    rewritten_ += answers.front().rewritten > 0;
    bool lacking = false;
    std::vector<Example> parts;
    for (Example& answer : answers) {
      const bool had_loss = answer.LossTokens() > 0;
      auditor_.Add(row, answer);
      for (Example& part : Fit(std::move(answer), options_, set_)) {
        if (part.LossTokens() == 0) {
          ++set_.without_loss;
          auditor_.NoLoss(row, had_loss);
          lacking |= row.kind != RowFormat::kTokens;
        }
        parts.push_back(std::move(part));
      }
    }
    if (lacking) return;
    for (Example& part : parts) {
      set_.tokens += part.size();
      set_.loss_tokens += part.LossTokens();
      set_.examples.push_back(std::move(part));
    }
  }

  const Auditor& auditor() const { return auditor_; }
  ExampleSet& set() { return set_; }
  int64_t rewritten() const { return rewritten_; }  // rows

 private:
  const Tokenizer& tokenizer_;
  const ChatTemplate* chat_;
  const ExampleOptions& options_;
  Auditor auditor_;
  ExampleSet set_;
  int64_t rewritten_ = 0;
};

}  // namespace

ExampleSet MakeExamples(const Rows& rows, const Tokenizer& tokenizer, const ChatTemplate* chat,
                        const ExampleOptions& options) {
  if (options.max_tokens < 2) throw InputError("data.max_tokens must be at least 2");
  ExampleMaker maker(tokenizer, chat, options);
  ExampleSet& set = maker.set();
  set.rows = rows.size();
  RowFaults faults;
  int64_t left = kMostFaults;
  for (int64_t i = 0; i < rows.size() && left > 0; ++i) {
    try {
      maker.Add(rows.Read(i), i);
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::kInput) throw;
      const std::string what = e.what(), place = rows.Where(i) + ": ";
      faults.Add(rows.Where(i), what.starts_with(place) ? what.substr(place.size()) : what);
      --left;
    }
  }
  const int64_t rewritten = maker.rewritten();
  maker.auditor().Judge(set.notes, faults);
  if (!faults.empty()) faults.Throw(rows.size(), set.notes);
  if (const std::string note = rows.UnreadNote(); !note.empty()) set.notes.push_back(note);
  AddCounts(set, options.max_tokens);
  if (rewritten) {
    set.notes.push_back(Cat("in ", rewritten, " of ", set.rows,
                            " rows the chat template rewrites earlier answers (it takes their "
                            "thoughts out, for example), so these are read but carry no loss"));
  }
  if (set.examples.empty()) {
    throw InputError(rows.Where(0), ": no row is left to train on: of ", set.rows, ", ",
                     set.dropped, " are over ", options.max_tokens, " tokens and ",
                     set.without_loss, " carry no loss");
  }
  return std::move(set);
}

}  // namespace retort
