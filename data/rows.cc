// SPDX-License-Identifier: Apache-2.0
#include "data/rows.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "data/row_fields.h"
#include "data/row_keys.h"

namespace retort {
namespace {

constexpr int64_t kMaxRows = int64_t{1} << 31;
constexpr size_t kMostUnread = 1000, kMostShown = 8;  // keys remembered, and listed in a note

struct FormatName {
  RowFormat format;
  std::string_view name;
};
constexpr FormatName kFormatNames[] = {
    {RowFormat::kAuto, "auto"},
    {RowFormat::kMessages, "messages"},
    {RowFormat::kAlpaca, "alpaca"},
    {RowFormat::kPromptCompletion, "prompt_completion"},
    {RowFormat::kText, "text"},
    {RowFormat::kTokens, "tokens"},
    {RowFormat::kPreference, "preference"},
    {RowFormat::kUnpaired, "unpaired"},
};

RowFormat Detect(const Json& row, const std::string& where) {
  const auto has = [&](const char* key) { return row.contains(key); };
  if (has("messages")) return RowFormat::kMessages;
  if (has("input_ids")) return RowFormat::kTokens;
  if ((has("chosen") && has("rejected")) || (has("preferred_output") && has("input")))
    return RowFormat::kPreference;
  if (has("prompt") && has("completion") && has("label") && LabelOf(row["label"]))
    return RowFormat::kUnpaired;
  if (has("instruction") && has("output")) return RowFormat::kAlpaca;
  if (has("prompt") || has("completion")) return RowFormat::kPromptCompletion;
  if (has("question") && has("answer")) return RowFormat::kPromptCompletion;
  if (has("text")) return RowFormat::kText;
  std::vector<std::string> keys;
  for (const auto& [key, value] : row.items()) {
    if (keys.size() == kMostShown) {
      keys.emplace_back("…");
      break;
    }
    keys.push_back(ShownKey(key));
  }
  throw InputError(where, ": no known format has the keys ", keys.empty() ? "{}" : Join(keys, ", "),
                   "; use messages, prompt + completion, question + answer, instruction + output, "
                   "text, input_ids + labels, or chosen + rejected");
}

}  // namespace

RowFormat ParseRowFormat(std::string_view name) {
  std::vector<std::string> names;
  for (const FormatName& f : kFormatNames) {
    if (f.name == name) return f.format;
    names.emplace_back(f.name);
  }
  const std::string nearest = Nearest(name, names);
  throw InputError(
      "data format '", name, "' is not known; ",
      nearest.empty() ? "use one of " + Join(names, ", ") : "did you mean '" + nearest + "'?");
}

// Keys that are no part of the training, with the first row that had each. The same in whatever
// order the rows are read: of too many keys, the first by the alphabet are kept.
struct Rows::Unread {
  std::mutex mutex;
  std::map<std::string, int64_t> first;

  void Add(const std::vector<std::string>& keys, int64_t row) {
    if (keys.empty()) return;
    const std::lock_guard lock(mutex);
    for (const std::string& key : keys) {
      const auto [known, is_new] = first.emplace(key, row);
      if (!is_new) known->second = std::min(known->second, row);
      if (first.size() > kMostUnread) first.erase(std::prev(first.end()));
    }
  }
};

Rows Rows::Open(const std::vector<RowSource>& sources, RowFormat format, Use use) {
  Rows rows;
  rows.use_ = use;
  rows.sources_ = sources;
  rows.unread_ = std::make_shared<Unread>();
  for (const RowSource& source : sources) {
    const std::string name = source.path.string();
    if (!(source.weight >= kLeastWeight && source.weight <= kMostWeight)) {
      throw InputError(name, ": weight ", source.weight, " must be ", kWeightRange);
    }
    auto held = std::make_shared<RowFile>(source.path);
    if (held->rows() == 0) throw InputError(name, ": holds no rows");
    OpenFile& file = rows.files_.emplace_back(
        OpenFile{std::move(held), rows.rows_, format, format == RowFormat::kAuto});
    rows.rows_ += file.held->rows();
    if (rows.rows_ > kMaxRows) throw InputError(name, ": more than ", kMaxRows, " rows in all");
    rows.LookAtFirst(file);
  }
  return rows;
}

int64_t Rows::size() const { return chosen_.empty() ? rows_ : std::ssize(chosen_); }

Rows::Place Rows::PlaceOf(int64_t index) const {
  RETORT_CHECK(index >= 0 && index < size(), "row ", index, " of ", size());
  const int64_t row = chosen_.empty() ? index : chosen_[static_cast<size_t>(index)];
  const auto behind = std::ranges::upper_bound(files_, row, {}, &OpenFile::first);
  const auto file = static_cast<size_t>(behind - files_.begin() - 1);
  return {file, row - files_[file].first};
}

RowSpan Rows::SpanOf(int64_t index) const {
  const Place place = PlaceOf(index);
  return files_[place.file].held->Span(place.row);
}

int64_t Rows::Bytes(int64_t index) const { return static_cast<int64_t>(SpanOf(index).size); }

void Rows::Drop(int64_t first, int64_t last) const {
  const Place begin = PlaceOf(first), end = PlaceOf(last);
  for (size_t f = begin.file; f <= end.file; ++f) {
    const RowFile& file = *files_[f].held;
    file.Drop(f == begin.file ? begin.row : 0, f == end.file ? end.row : file.rows() - 1);
  }
}

Json Rows::ReadJsonAt(const OpenFile& file, const RowSpan& span, const std::string& where) const {
  Json json = file.held->Read(span, where);
  if (use_ == Use::kAsked) AddMissingAnswer(json);
  return json;
}

// A faulty first row of a named format is reported when it is read.
void Rows::LookAtFirst(OpenFile& file) const {
  const RowSpan first = file.held->Span(0);
  const std::string where = Cat(file.held->path().string(), ":", first.line);
  if (file.detected) file.format = Detect(ReadJsonAt(file, first, where), where);
  file.conversations = file.format == RowFormat::kMessages;
  if (file.conversations || file.format == RowFormat::kTokens) return;
  try {
    file.conversations = IsConversation(ReadJsonAt(file, first, where), file.format);
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::kInput) throw;
  }
}

std::string Rows::Where(int64_t index) const {
  const RowFile& file = *files_[PlaceOf(index).file].held;
  return Cat(file.path().string(), ":", SpanOf(index).line);
}

Rows Rows::First(int64_t count) const {
  std::vector<uint32_t> indices(static_cast<size_t>(std::min(count, size())));
  std::iota(indices.begin(), indices.end(), 0);
  return Only(indices);
}

Rows Rows::Only(const std::vector<uint32_t>& indices) const {
  Rows some = *this;
  RETORT_CHECK(!indices.empty(), "no rows");
  some.unread_ = std::make_shared<Unread>();
  some.chosen_.clear();
  some.chosen_.reserve(indices.size());
  for (const uint32_t i : indices) {
    const Place place = PlaceOf(i);
    some.chosen_.push_back(static_cast<uint32_t>(files_[place.file].first + place.row));
  }
  return some;
}

bool Rows::HasMessages() const { return std::ranges::any_of(files_, &OpenFile::conversations); }

bool Rows::HasTexts() const {
  return std::ranges::any_of(files_, [](const OpenFile& file) {
    return !file.conversations && file.format != RowFormat::kTokens;
  });
}

std::string Rows::UnreadNote() const {
  if (!unread_) return "";
  const std::lock_guard lock(unread_->mutex);
  const auto& first = unread_->first;
  if (first.empty()) return "";
  std::vector<std::string> keys;
  keys.reserve(first.size());
  for (const auto& [key, where] : first) keys.push_back(ShownKey(key));
  const bool more = keys.size() > kMostShown;
  if (more) keys.resize(kMostShown);
  return Cat("keys of rows that are no part of what is trained: ", Join(keys, ", "),
             more ? " and others" : "", " (first: ", Where(first.begin()->second), ")");
}

void Rows::RefuseKeys(int64_t index, const Json& json) const {
  const OpenFile& file = files_[PlaceOf(index).file];
  const auto fault = FindRowKeyFault(json, file.format, file.detected);
  if (!fault) return unread_->Add(UnreadKeys(json, file.format), index);
  throw InputError(Where(index), ": ", ShownKey(fault->key), " is not supported: ", fault->mend);
}

Row Rows::Read(int64_t index) const {
  const OpenFile& file = files_[PlaceOf(index).file];
  const RowSpan span = SpanOf(index);
  Row row;
  row.where = Cat(file.held->path().string(), ":", span.line);
  const Json json = ReadJsonAt(file, span, row.where);
  RefuseKeys(index, json);
  FillRow(json, file.format, row);
  if (row.kind == RowFormat::kMessages && !file.conversations) {
    throw InputError(row.where,
                     ": has messages, and the file's first row has texts; keep the two in files "
                     "of their own");
  }
  return row;
}

}  // namespace retort
