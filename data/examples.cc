// SPDX-License-Identifier: Apache-2.0
#include "data/examples.h"

#include <algorithm>

#include "base/error.h"
#include "data/audit.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

template <class Enum, size_t N>
Enum ParseName(std::string_view what, std::string_view name,
               const std::pair<std::string_view, Enum> (&known)[N]) {
  std::vector<std::string> names;
  for (const auto& [text, value] : known) {
    if (text == name) return value;
    names.emplace_back(text);
  }
  throw InputError(what, " '", name, "' is not known; use one of ", Join(names, ", "));
}

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

}  // namespace

int64_t Example::LossTokens() const {
  if (labels.empty()) return 0;
  return static_cast<int64_t>(labels.size() - 1) -
         std::count(labels.begin() + 1, labels.end(), kNoLoss);
}

LossOn ParseLossOn(std::string_view name) {
  static constexpr std::pair<std::string_view, LossOn> kKnown[] = {
      {"completion", LossOn::kCompletion}, {"all", LossOn::kAll}};
  return ParseName("loss_on", name, kKnown);
}

OverLength ParseOverLength(std::string_view name) {
  static constexpr std::pair<std::string_view, OverLength> kKnown[] = {
      {"error", OverLength::kError},
      {"drop", OverLength::kDrop},
      {"truncate", OverLength::kTruncate},
      {"split", OverLength::kSplit}};
  return ParseName("over_length", name, kKnown);
}

Audit ParseAudit(std::string_view name) {
  static constexpr std::pair<std::string_view, Audit> kKnown[] = {
      {"stop", Audit::kStop}, {"warn", Audit::kWarn}, {"off", Audit::kOff}};
  return ParseName("audit", name, kKnown);
}

namespace {

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

}  // namespace

ExampleSet MakeExamples(const Rows& rows, const Tokenizer& tokenizer, const ChatTemplate* chat,
                        const ExampleOptions& options) {
  if (options.max_tokens < 2) throw InputError("data.max_tokens must be at least 2");
  ExampleSet set;
  set.rows = rows.size();
  int64_t rewritten = 0;  // rows
  Auditor auditor(tokenizer, options);
  for (int64_t i = 0; i < rows.size(); ++i) {
    const Row row = rows.Read(i);
    std::optional<Example> example = EncodeRowAtMost(
        row, tokenizer, chat, options,
        WantsWhole(options.over_length) ? kNoLimit : static_cast<size_t>(options.max_tokens));
    if (!example) {
      Refuse(row, tokenizer, chat, options, set);
      continue;
    }
    example->row = i;
    if (example->ids.empty()) throw InputError(row.where, ": the row is empty");
    const bool had_loss = example->LossTokens() > 0;
    rewritten += example->rewritten > 0;
    auditor.Add(row, *example);
    for (Example& part : Fit(std::move(*example), options, set)) {
      const int64_t loss = part.LossTokens();
      if (loss == 0) {
        ++set.without_loss;
        auditor.NoLoss(row, had_loss);
        if (row.kind != RowFormat::kTokens) continue;
      }
      set.tokens += part.size();
      set.loss_tokens += loss;
      set.examples.push_back(std::move(part));
    }
  }
  auditor.Judge(set.notes);
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
  return set;
}

namespace {

// Makes the text valid UTF-8: tokens may end inside a character, and rows of ids may give any
// bytes.
std::string ValidUtf8(std::string_view bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size();) {
    const Utf8Char c = DecodeUtf8(bytes, at);
    AppendUtf8(c.valid ? c.code : U'\uFFFD', &out);
    at += static_cast<size_t>(c.size);
  }
  return out;
}

}  // namespace

std::string ShowExample(const Example& example, const Tokenizer& tokenizer) {
  std::string out;
  bool marked = false;
  for (size_t i = 0; i < example.ids.size(); ++i) {
    const bool loss = i > 0 && example.labels[i] != kNoLoss;
    if (loss != marked) out += loss ? "⟦" : "⟧";
    marked = loss;
    out += tokenizer.Bytes(example.ids[i], true);
  }
  return ValidUtf8(marked ? out + "⟧" : out);
}

}  // namespace retort
