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

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
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

std::string_view TextOf(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

Json ParseRow(std::string_view line, const std::string& where) {
  Json row = ParseJson(line, where);
  if (!row.is_object()) throw InputError(where, ": a row must be a JSON object");
  return row;
}

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

// Files that are no JSONL, told by how they begin.
void RefuseOtherFiles(std::string_view text, const std::string& name) {
  const auto begins = [&](std::string_view with) { return text.starts_with(with); };
  const char* what = begins("\x1f\x8b") ? "is compressed with gzip; unpack it first"
                     : begins("PAR1")   ? "is a Parquet file"
                     : begins("\xff\xfe") || begins("\xfe\xff")
                         ? "is UTF-16 text; write it as UTF-8"
                     : Strip(text.substr(0, 4096)).starts_with('[')
                         ? "is a JSON list; take the list's brackets and commas away"
                         : nullptr;
  if (what) throw InputError(name, ": ", what, " (rows are JSON objects, one a line)");
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
    File file{MappedFile::Open(source.path), format, format == RowFormat::kAuto};
    std::string_view text = TextOf(*file.map);
    const size_t mark = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
    RefuseOtherFiles(text.substr(mark), name);
    const uint32_t index = static_cast<uint32_t>(rows.files_.size());
    const size_t before = rows.places_.size();
    uint32_t line = 1;
    for (size_t at = mark; at < text.size(); ++line) {
      const size_t end = std::min(text.find('\n', at), text.size());
      if (!Strip(text.substr(at, end - at)).empty()) rows.places_.push_back({index, line, at});
      at = end + 1;
    }
    if (rows.places_.size() == before) throw InputError(name, ": holds no rows");
    if (rows.size() > kMaxRows) throw InputError(name, ": more than ", kMaxRows, " rows in all");
    rows.files_.push_back(file);
    rows.LookAtFirst(rows.places_[before]);
  }
  return rows;
}

// A faulty first row of a named format is reported when it is read.
void Rows::LookAtFirst(const Place& first) {
  File& file = files_[first.file];
  const std::string where = Cat(file.map->path().string(), ":", first.line);
  if (file.detected) file.format = Detect(ParseRow(Line(first), where), where);
  file.conversations = file.format == RowFormat::kMessages;
  if (file.conversations || file.format == RowFormat::kTokens) return;
  try {
    file.conversations = IsConversation(ParseRow(Line(first), where), file.format);
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::kInput) throw;
  }
}

std::string_view Rows::Line(const Place& place) const {
  const std::string_view rest = TextOf(*files_[place.file].map).substr(place.offset);
  return Strip(rest.substr(0, rest.find('\n')));
}

std::string Rows::Where(int64_t index) const {
  const Place& place = places_.at(index);
  return Cat(files_[place.file].map->path().string(), ":", place.line);
}

Rows Rows::First(int64_t count) const {
  Rows first = *this;
  if (count < size()) first.places_.resize(static_cast<size_t>(count));
  return first;
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

int64_t Rows::CountRowsWith(const std::string& refused_key) const {
  const std::string spelt = DumpJson(Json(refused_key));
  int64_t count = 0;
  for (const Place& place : places_) {
    const std::string_view line = Line(place);
    if (line.find(spelt) == std::string_view::npos) continue;
    try {
      const File& file = files_[place.file];
      const auto fault = FindRowKeyFault(ParseRow(line, ""), file.format, file.detected);
      count += fault && fault->key == refused_key;
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::kInput) throw;  // a faulty line is reported when it is read
    }
  }
  return count;
}

void Rows::RefuseKeys(int64_t index, const Json& json) const {
  const File& file = files_[places_[index].file];
  const auto fault = FindRowKeyFault(json, file.format, file.detected);
  if (!fault) return unread_->Add(UnreadKeys(json, file.format), Where(index));
  const int64_t count = std::max<int64_t>(1, CountRowsWith(fault->key));
  throw InputError(Where(index), ": ", ShownKey(fault->key), " is not supported: ", fault->mend,
                   " (", count, " of ", size(), " rows)");
}

Row Rows::Read(int64_t index) const {
  Row row;
  row.where = Where(index);
  const File& file = files_[places_[index].file];
  const Json json = ParseRow(Line(places_[index]), row.where);
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
