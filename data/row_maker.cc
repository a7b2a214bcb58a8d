// SPDX-License-Identifier: Apache-2.0
#include "data/row_maker.h"

#include <algorithm>

#include "base/error.h"

namespace retort {
namespace {

// Whether all of a row is wanted, however long it is.
bool WantsWhole(OverLength over_length) {
  return over_length == OverLength::kTruncate || over_length == OverLength::kSplit;
}

// The parts of a row that is wanted whole, or fits.
std::vector<Example> Fit(const Example& example, const ExampleOptions& options) {
  const int64_t limit = options.max_tokens;
  std::vector<Example> parts;
  if (example.size() <= limit || options.over_length == OverLength::kTruncate) {
    parts.push_back(example);
    parts[0].ids.resize(static_cast<size_t>(std::min(limit, example.size())));
    parts[0].labels.resize(parts[0].ids.size());
    return parts;
  }
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
    parts.push_back(example);
    parts[0].ids.resize(static_cast<size_t>(limit));
    parts[0].labels.resize(static_cast<size_t>(limit));
  }
  return parts;
}

// The error tells how long a row is unless that would take long to find out.
Error TooLong(const Row& row, const Tokenizer& tokenizer, const ChatTemplate* chat,
              const ExampleOptions& options) {
  const int64_t known = 16 * options.max_tokens;
  const auto whole = EncodeRowAtMost(row, tokenizer, chat, options, static_cast<size_t>(known));
  return InputError(row.where, ": has ", whole ? Cat(whole->size()) : Cat("more than ", known),
                    " tokens, over the limit of ", options.max_tokens,
                    options.model_limit ? ", the model's positions; "
                                        : Cat("; raise ", options.max_tokens_name, " or "),
                    "set ", options.over_length_name, " to drop",
                    options.answers == Answers::kOne ? ", truncate or split" : " or truncate");
}

// The row's answers, as rows of one each: that of the row itself first.
std::vector<const Row*> AnswersOf(const Row& row, Answers answers) {
  switch (answers) {
    case Answers::kOne:
      if (!row.wanted) return {&row};
      throw InputError(row.where, ": ",
                       row.rejected ? "holds a preferred and a rejected answer; a recipe with "
                                      "preference.method dpo, orpo or kto learns from both"
                                    : "holds an answer and whether it is wanted; a recipe with "
                                      "preference.method kto learns from both kinds",
                       "; for everything else, keep rows of one answer each");
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

}  // namespace

MadeRow RowMaker::Make(int64_t index) const {
  MadeRow out;
  try {
    Fill(rows_.Read(index), index, out);
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::kInput) throw;
    out.place.where = rows_.Where(index);
    const std::string what = e.what(), before = out.place.where + ": ";
    out.fault = what.starts_with(before) ? what.substr(before.size()) : what;
  }
  return out;
}

void RowMaker::Fill(const Row& row, int64_t index, MadeRow& out) const {
  const size_t limit =
      WantsWhole(options_.over_length) ? kNoLimit : static_cast<size_t>(options_.max_tokens);
  out.place = {row.where, row.kind, index};
  for (const Row* one : AnswersOf(row, options_.answers)) {
    std::optional<Example> example = EncodeRowAtMost(*one, tokenizer_, chat_, options_, limit);
    out.dropped = !example && options_.over_length == OverLength::kDrop;
    if (out.dropped) return;
    if (!example) throw TooLong(*one, tokenizer_, chat_, options_);
    if (options_.answer_check) options_.answer_check->Check(*one);
    example->row = index;
    example->wanted = one->wanted.value_or(true);
    example->joined = options_.answers == Answers::kPairs && !out.answers.empty();
    if (example->ids.empty()) throw InputError(row.where, ": the row is empty");
    if (out.answers.empty()) out.rewritten = example->rewritten > 0;
    MadeRow::Answer& answer = out.answers.emplace_back();
    answer.look = auditor_.LookAt(*one, *example);
    answer.had_loss = example->LossTokens() > 0;
    answer.over = example->size() > options_.max_tokens;
    answer.parts = Fit(*example, options_);
    for (const Example& part : answer.parts) answer.hashes.push_back(HashOf(part));
  }
  if (out.answers.size() < 2) return;
  const Example &one = out.answers[0].parts[0], &other = out.answers[1].parts[0];
  out.same = one.ids == other.ids && one.LossTokens() > 0;
}

}  // namespace retort
