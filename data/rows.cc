// SPDX-License-Identifier: Apache-2.0
#include "data/rows.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/row_fields.h"
#include "data/row_keys.h"

namespace retort {
namespace {

constexpr int64_t kMaxRows = int64_t{1} << 31;
constexpr int64_t kMostWeight = 1000000;
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
  if (has("prompt") && has("completion") && has("label") && row["label"].is_boolean())
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

// Keys that are no part of the training, with the first row that had each.
struct Rows::Unread {
  std::mutex mutex;
  std::map<std::string, std::string> first;

  void Add(const std::vector<std::string>& keys, const std::string& where) {
    if (keys.empty()) return;
    const std::lock_guard lock(mutex);
    for (const std::string& key : keys) {
      if (first.size() < kMostUnread) first.emplace(key, where);
    }
  }
};

Rows Rows::Open(const std::vector<RowSource>& sources, RowFormat format) {
  Rows rows;
  rows.sources_ = sources;
  rows.unread_ = std::make_shared<Unread>();
  for (const RowSource& source : sources) {
    const std::string name = source.path.string();
    if (!(source.weight > 0 && source.weight <= static_cast<double>(kMostWeight))) {
      throw InputError(name, ": weight ", source.weight, " must be above 0 and at most ",
                       kMostWeight);
    }
    auto held = std::make_shared<RowFile>(source.path);
    const auto index = static_cast<uint32_t>(rows.files_.size());
    const size_t before = rows.places_.size();
    for (const RowSpan& span : held->TakeRows()) rows.places_.push_back({index, span});
    if (rows.places_.size() == before) throw InputError(name, ": holds no rows");
    if (rows.size() > kMaxRows) throw InputError(name, ": more than ", kMaxRows, " rows in all");
    rows.files_.push_back({std::move(held), format, format == RowFormat::kAuto});
    rows.LookAtFirst(rows.places_[before]);
  }
  return rows;
}

// A faulty first row of a named format is reported when it is read.
void Rows::LookAtFirst(const Place& first) {
  File& file = files_[first.file];
  const std::string where = Cat(file.held->path().string(), ":", first.span.line);
  if (file.detected) file.format = Detect(file.held->Read(first.span, where), where);
  file.conversations = file.format == RowFormat::kMessages;
  if (file.conversations || file.format == RowFormat::kTokens) return;
  try {
    file.conversations = IsConversation(file.held->Read(first.span, where), file.format);
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::kInput) throw;
  }
}

std::string Rows::Where(int64_t index) const {
  const Place& place = places_.at(index);
  return Cat(files_[place.file].held->path().string(), ":", place.span.line);
}

Rows Rows::First(int64_t count) const {
  Rows first = *this;
  if (count < size()) first.places_.resize(static_cast<size_t>(count));
  return first;
}

Rows Rows::Only(const std::vector<int64_t>& indices) const {
  Rows some = *this;
  some.places_.clear();
  for (const int64_t i : indices) some.places_.push_back(places_.at(static_cast<size_t>(i)));
  return some;
}

bool Rows::HasMessages() const { return std::ranges::any_of(files_, &File::conversations); }

bool Rows::HasTexts() const {
  return std::ranges::any_of(files_, [](const File& file) {
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
             more ? " and others" : "", " (first: ", first.begin()->second, ")");
}

void Rows::RefuseKeys(int64_t index, const Json& json) const {
  const File& file = files_[places_[index].file];
  const auto fault = FindRowKeyFault(json, file.format, file.detected);
  if (!fault) return unread_->Add(UnreadKeys(json, file.format), Where(index));
  throw InputError(Where(index), ": ", ShownKey(fault->key), " is not supported: ", fault->mend);
}

Row Rows::Read(int64_t index) const {
  Row row;
  row.where = Where(index);
  const File& file = files_[places_[index].file];
  const Json json = file.held->Read(places_[index].span, row.where);
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
