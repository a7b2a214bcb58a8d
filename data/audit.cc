// SPDX-License-Identifier: Apache-2.0
#include "data/audit.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/error.h"

namespace retort {
namespace {

constexpr size_t kLongPrompt = 16;     // bytes; with which no answer begins by chance
constexpr int64_t kUnknownLimit = 10;  // one row in 10 may have an unknown token that carries loss

// Used only to find equal rows: FNV-1a over the ids in place of bytes, then mixed once more, since
// its highest bits depend on the last ids too little.
uint64_t HashIds(const std::vector<int32_t>& ids) {
  uint64_t hash = 14695981039346656037u;
  for (const int32_t id : ids) hash = (hash ^ static_cast<uint32_t>(id)) * 1099511628211u;
  return (hash ^ hash >> 32) * 0x9E3779B97F4A7C15u;
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

void Auditor::Finding::Add(const Place& place) {
  if (std::exchange(last, place.row) == place.row) return;
  if (count++ == 0)
    first = place.where;
  else if (count <= kMostPlaces)
    others += Cat(others.empty() ? "" : ", ", place.where.substr(place.where.rfind(':') + 1));
  given += place.kind == RowFormat::kTokens;
}

Auditor::Look Auditor::LookAt(const Row& row, const Example& example) const {
  Look look;
  if (options_.audit == Audit::kOff) return look;
  LookAtText(row, look);
  LookAtIds(row, example, look);
  return look;
}

void Auditor::LookAtText(const Row& row, Look& look) const {
  const auto read = [&](const std::string& text) {
    look.damaged |=
        text.find('\0') != std::string::npos || text.find("\xef\xbf\xbd") != std::string::npos;
    if (look.special.empty()) look.special = special_texts_.First(text);
  };
  if (row.kind == RowFormat::kPromptCompletion) {
    look.empty = row.completion.empty();
    look.trailing_space = row.prompt.ends_with(' ');
    look.repeats = row.prompt.size() >= kLongPrompt && row.completion.starts_with(row.prompt);
  }
  for (const std::string* text : {&row.prompt, &row.completion, &row.text}) read(*text);
  for (const Message& m : row.messages) {
    read(m.content);
    look.empty |= m.role == "assistant" && m.learn && m.content.empty() && m.more.empty();
  }
}

void Auditor::LookAtIds(const Row& row, const Example& example, Look& look) const {
  const TokenizerSpec& spec = tokenizer_.spec();
  const std::vector<int32_t>& ids = example.ids;
  look.double_bos = spec.bos >= 0 && ids.size() > 1 && ids[0] == spec.bos && ids[1] == spec.bos;
  look.hash = HashIds(ids);
  look.tokens = example.size();
  if (spec.unk >= 0) {
    look.unknown = std::ranges::count(ids, spec.unk);
    look.unknown_learnt = Learns(example, spec.unk);
  }
  // Turns of a conversation always end with their end token; in other rows it may be anywhere.
  look.end_learnt = row.kind == RowFormat::kMessages || Learns(example, spec.eos);
}

void Auditor::AddRow(const Place& place, bool same_answers) {
  if (options_.audit == Audit::kOff) return;
  ++rows_;
  if (same_answers) same_answers_.Add(place);
}

void Auditor::Add(const Place& place, const Look& look) {
  if (options_.audit == Audit::kOff) return;
  tokens_ += look.tokens;
  unknown_ += look.unknown;
  ends_learnt_ += look.end_learnt;
  seen_.push_back({look.hash, static_cast<uint32_t>(place.row)});
  if (special_spelt_.empty()) special_spelt_ = look.special;
  const std::pair<bool, Finding*> seen[] = {{look.empty, &empty_},
                                            {look.trailing_space, &trailing_space_},
                                            {!look.special.empty(), &special_text_},
                                            {look.damaged, &damaged_},
                                            {look.repeats, &repeats_},
                                            {look.double_bos, &double_bos_},
                                            {look.unknown > 0, &unknown_row_},
                                            {look.unknown_learnt, &unknown_learnt_}};
  for (const auto& [found, finding] : seen) {
    if (found) finding->Add(place);
  }
}

void Auditor::NoLoss(const Place& place, bool had_loss) {
  if (options_.audit != Audit::kOff) (had_loss ? cut_away_ : no_loss_).Add(place);
}

// The two answers of one row may be the same without a word.
void Auditor::FindRepeated(const Rows& rows) {
  std::ranges::sort(seen_, [](const Seen& a, const Seen& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.row < b.row;
  });
  std::vector<uint32_t> repeated;
  for (size_t i = 1, first = 0; i < seen_.size(); ++i) {
    if (seen_[i].hash != seen_[first].hash) first = i;
    if (seen_[i].row != seen_[first].row) repeated.push_back(seen_[i].row);
  }
  std::ranges::sort(repeated);
  for (const uint32_t row : repeated) {
    const bool told = repeated_.count < Finding::kMostPlaces;
    repeated_.Add({told ? rows.Where(row) : "", RowFormat::kText, row});
  }
}

void Auditor::Judge(const Rows& rows, std::vector<std::string>& notes, RowFaults& faults) {
  FindRepeated(rows);
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
        options_.answers == Answers::kOne
            ? "raise data.max_tokens or set data.over_length to drop or split"
            : "raise data.max_tokens or set data.over_length to drop");
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
  const std::string_view same = "the two answers are the same, so the pair teaches nothing";
  if (same_answers_.count == rows_) {
    fault(same_answers_, same,
          "give answers that differ within data.max_tokens (data.over_length cuts the rest away)");
  } else {
    note(same_answers_, same);
  }
  note(empty_, "the answer is empty");
  note(damaged_, "the text holds a NUL or U+FFFD, as text does that was decoded wrongly");
  note(repeats_, "the answer begins with the prompt, which is then read twice; take it out there");
  note(trailing_space_,
       "the prompt ends in a space, which most tokenizers would rather have at the "
       "completion's beginning");
  note(special_text_,
       Cat("the text spells the special token '", special_spelt_,
           "', which is read as plain characters; use format messages for conversations"));
  note(repeated_, "the row has occurred before");
}

std::string OverlapNote(const ExampleSet& train, const ExampleSet& eval, const Rows& eval_rows) {
  // The training rows, which may be many more, are read one by one.
  std::unordered_map<uint64_t, bool> held_out;  // whether it also occurs there
  for (const Example& e : eval.examples) held_out.emplace(HashIds(e.ids), false);
  for (const Example& e : train.examples) {
    if (const auto found = held_out.find(HashIds(e.ids)); found != held_out.end())
      found->second = true;
  }
  int64_t count = 0, first = -1;
  for (const Example& e : eval.examples) {
    if (!held_out.at(HashIds(e.ids))) continue;
    if (count++ == 0) first = e.row;
  }
  if (count == 0) return "";
  return Cat(count, " of ", eval.examples.size(),
             " evaluation rows also occur in the training rows (first: ", eval_rows.Where(first),
             ")");
}

}  // namespace retort
