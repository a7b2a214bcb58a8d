// SPDX-License-Identifier: Apache-2.0
#include "data/audit.h"

#include <algorithm>
#include <unordered_set>

#include "base/error.h"

namespace retort {
namespace {

constexpr int64_t kUnknownLimit = 10;  // one row in 10 may have an unknown token that carries loss

// FNV-1a over the ids; used only to find equal rows.
uint64_t HashIds(const std::vector<int32_t>& ids) {
  uint64_t hash = 14695981039346656037u;
  for (const int32_t id : ids) {
    for (int shift = 0; shift < 32; shift += 8) {
      hash = (hash ^ (static_cast<uint32_t>(id) >> shift & 0xff)) * 1099511628211u;
    }
  }
  return hash;
}

// Whether the token is a label anywhere but at index 0, which no token predicts.
bool Learns(const Example& example, int32_t token) {
  return std::find(example.labels.begin() + 1, example.labels.end(), token) != example.labels.end();
}

std::string Percent(int64_t part, int64_t whole) {
  const int64_t tenths = whole ? (part * 1000 + whole / 2) / whole : 0;
  return part && !tenths ? "under 0.1 %" : Cat(tenths / 10, ".", tenths % 10, " %");
}

}  // namespace

Auditor::Auditor(const Tokenizer& tokenizer, const ExampleOptions& options)
    : tokenizer_(tokenizer), options_(options), special_texts_(tokenizer.spec()) {}

void Auditor::Finding::Add(const Row& row) {
  constexpr int64_t kMostPlaces = 9;
  if (count++ == 0)
    first = row.where;
  else if (count <= kMostPlaces)
    others += Cat(others.empty() ? "" : ", ", row.where.substr(row.where.rfind(':') + 1));
  given += row.kind == RowFormat::kTokens;
}

void Auditor::Add(const Row& row, const Example& example) {
  if (options_.audit == Audit::kOff) return;
  ++rows_;
  LookAtText(row);
  LookAtIds(row, example);
}

void Auditor::LookAtText(const Row& row) {
  bool special = false, damaged = false;
  const auto look = [&](const std::string& text) {
    damaged |=
        text.find('\0') != std::string::npos || text.find("\xef\xbf\xbd") != std::string::npos;
    const std::string_view first = special_texts_.First(text);
    special |= !first.empty();
    if (special_spelt_.empty()) special_spelt_ = first;
  };
  if (row.kind == RowFormat::kPromptCompletion) {
    if (row.completion.empty()) empty_.Add(row);
    if (row.prompt.ends_with(' ')) trailing_space_.Add(row);
  }
  for (const std::string* text : {&row.prompt, &row.completion, &row.text}) look(*text);
  bool empty = false;
  for (const Message& m : row.messages) {
    look(m.content);
    empty |= m.role == "assistant" && m.learn && m.content.empty() && m.more.empty();
  }
  if (empty) empty_.Add(row);
  if (special) special_text_.Add(row);
  if (damaged) damaged_.Add(row);
}

void Auditor::LookAtIds(const Row& row, const Example& example) {
  const TokenizerSpec& spec = tokenizer_.spec();
  const std::vector<int32_t>& ids = example.ids;
  if (spec.bos >= 0 && ids.size() > 1 && ids[0] == spec.bos && ids[1] == spec.bos) {
    double_bos_.Add(row);
  }
  const auto [before, is_new] = seen_.emplace(HashIds(ids), row.where);
  if (!is_new && before->second != row.where) repeated_.Add(row);
  tokens_ += example.size();
  if (spec.unk >= 0) {
    const int64_t unknown = std::ranges::count(ids, spec.unk);
    unknown_ += unknown;
    if (unknown) unknown_row_.Add(row);
    if (Learns(example, spec.unk)) unknown_learnt_.Add(row);
  }
  // Turns of a conversation always end with their end token; in other rows it may be anywhere.
  ends_learnt_ += row.kind == RowFormat::kMessages || Learns(example, spec.eos);
}

void Auditor::NoLoss(const Row& row, bool had_loss) {
  if (options_.audit != Audit::kOff) (had_loss ? cut_away_ : no_loss_).Add(row);
}

void Auditor::Judge(std::vector<std::string>& notes, RowFaults& faults) const {
  const auto text = [&](const Finding& f, std::string_view what) {
    const std::string also = f.others.empty() ? "" : Cat("; also ", f.others);
    return Cat(f.first, ": ", what, " (", f.count, " of ", rows_, " rows", also, ")");
  };
  const auto fault = [&](const Finding& f, std::string_view what, std::string_view mend) {
    if (f.count == 0) return;
    if (options_.audit != Audit::kStop || f.count <= f.given) return notes.push_back(text(f, what));
    const std::string found = text(f, what).substr(f.first.size() + 2);
    faults.AddCounted(f.first, Cat(found, "; ", mend, ", or set data.audit to warn"), f.count);
  };
  const auto note = [&](const Finding& f, std::string_view what) {
    if (f.count) notes.push_back(text(f, what));
  };
  fault(no_loss_, "no token carries loss",
        "give the row an answer (an assistant turn or a completion)");
  fault(cut_away_, "the limit of tokens cuts away all that carries loss",
        "raise data.max_tokens or set data.over_length to drop or split");
  fault(double_bos_, "begins with the BOS token twice", "take one of them away");
  const std::string_view teaches = "the row teaches the token for what the tokenizer does not know";
  if (unknown_learnt_.count * kUnknownLimit > rows_) {
    fault(unknown_learnt_, teaches, "use a model whose tokenizer covers this text");
  } else {
    note(unknown_learnt_, teaches);
  }
  note(unknown_row_,
       Cat(Percent(unknown_, tokens_), " of all tokens are unknown to the tokenizer; first here"));
  if (rows_ && ends_learnt_ == 0 && tokenizer_.spec().eos >= 0) {
    notes.push_back(
        "no row teaches the end token, so generation will not know where to stop; "
        "set data.add_eos to true");
  }
  note(empty_, "the answer is empty");
  note(damaged_, "the text holds a NUL or U+FFFD, as text does that was decoded wrongly");
  note(trailing_space_,
       "the prompt ends in a space, which most tokenizers would rather have at the "
       "completion's beginning");
  note(special_text_,
       Cat("the text spells the special token '", special_spelt_,
           "', which is read as plain characters; use format messages for conversations"));
  note(repeated_, "the row has occurred before");
}

std::string OverlapNote(const ExampleSet& train, const ExampleSet& eval, const Rows& eval_rows) {
  std::unordered_set<uint64_t> known;
  for (const Example& e : train.examples) known.insert(HashIds(e.ids));
  int64_t count = 0, first = -1;
  for (const Example& e : eval.examples) {
    if (!known.contains(HashIds(e.ids))) continue;
    if (count++ == 0) first = e.row;
  }
  if (count == 0) return "";
  return Cat(count, " of ", eval.examples.size(),
             " evaluation rows also occur in the training rows (first: ", eval_rows.Where(first),
             ")");
}

}  // namespace retort
