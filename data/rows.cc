// SPDX-License-Identifier: Apache-2.0
#include "data/rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"

namespace retort {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr int64_t kMaxRows = int64_t{1} << 31;

struct FormatName {
  RowFormat format;
  std::string_view name;
};
constexpr FormatName kFormatNames[] = {
    {RowFormat::kAuto, "auto"},     {RowFormat::kMessages, "messages"},
    {RowFormat::kAlpaca, "alpaca"}, {RowFormat::kPromptCompletion, "prompt_completion"},
    {RowFormat::kText, "text"},     {RowFormat::kTokens, "tokens"},
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
  if (has("instruction") && has("output")) return RowFormat::kAlpaca;
  if (has("prompt") || has("completion")) return RowFormat::kPromptCompletion;
  if (has("question") && has("answer")) return RowFormat::kPromptCompletion;
  if (has("text")) return RowFormat::kText;
  std::vector<std::string> keys;
  for (const auto& [key, value] : row.items()) keys.push_back(Cat("'", key, "'"));
  throw InputError(where, ": no known format has the keys ", keys.empty() ? "{}" : Join(keys, ", "),
                   "; use messages, prompt + completion, question + answer, instruction + output, "
                   "text, or input_ids + labels");
}

std::vector<Message> ReadMessages(const Json& row, const std::string& where) {
  const auto it = row.find("messages");
  if (it == row.end()) throw InputError(where, ": 'messages' is missing");
  if (!it->is_array()) throw InputError(where, ": 'messages' must be a list");
  std::vector<Message> messages;
  for (const Json& m : *it) {
    const std::string place = Cat(where, ": message ", messages.size() + 1);
    messages.push_back({GetString(m, "role", place), GetString(m, "content", place)});
  }
  return messages;
}

std::vector<int32_t> ReadIds(const Json& row, const char* key, const std::string& where) {
  const auto it = row.find(key);
  if (it == row.end()) throw InputError(where, ": '", key, "' is missing");
  if (!it->is_array()) throw InputError(where, ": '", key, "' must be a list of integers");
  std::vector<int32_t> ids;
  ids.reserve(it->size());
  for (const Json& v : *it) {
    const bool fits = v.is_number_integer() &&
                      !(v.is_number_unsigned() && v.get<uint64_t>() > uint64_t{INT32_MAX}) &&
                      v.get<int64_t>() >= INT32_MIN && v.get<int64_t>() <= INT32_MAX;
    if (!fits) {
      throw InputError(where, ": '", key, "' must be a list of integers; entry ", ids.size() + 1,
                       " is ", DumpJson(v));
    }
    ids.push_back(v.get<int32_t>());
  }
  return ids;
}

// The prompt wording of Stanford Alpaca.
std::string AlpacaPrompt(const std::string& instruction, const std::string& input) {
  if (input.empty()) {
    return Cat(
        "Below is an instruction that describes a task. Write a response that appropriately "
        "completes the request.\n\n### Instruction:\n",
        instruction, "\n\n### Response:");
  }
  return Cat(
      "Below is an instruction that describes a task, paired with an input that provides "
      "further context. Write a response that appropriately completes the request.\n\n"
      "### Instruction:\n",
      instruction, "\n\n### Input:\n", input, "\n\n### Response:");
}

void FillPromptCompletion(const Json& json, Row& row) {
  const bool question = json.contains("question") && !json.contains("prompt");
  if (question) {
    row.prompt = Cat("Question: ", GetString(json, "question", row.where), "\nAnswer:");
    row.completion = Cat(" ", GetString(json, "answer", row.where));
  } else {
    row.prompt = GetString(json, "prompt", row.where);
    row.completion = GetString(json, "completion", row.where);
  }
}

void FillTokens(const Json& json, Row& row) {
  row.ids = ReadIds(json, "input_ids", row.where);
  row.labels = ReadIds(json, "labels", row.where);
  if (row.ids.size() != row.labels.size()) {
    throw InputError(row.where, ": 'input_ids' has ", row.ids.size(), " entries and 'labels' ",
                     row.labels.size(), "; they must be as many");
  }
  if (row.ids.empty()) throw InputError(row.where, ": 'input_ids' is empty");
}

// The indices that a weight selects from a file of n rows, in file order within each pass.
std::vector<int64_t> Weighted(int64_t n, double weight) {
  const int64_t total = std::llround(static_cast<double>(n) * weight);
  std::vector<int64_t> out;
  out.reserve(total);
  while (total - static_cast<int64_t>(out.size()) >= n) {
    for (int64_t i = 0; i < n; ++i) out.push_back(i);
  }
  std::vector<int64_t> rest = Permutation(n, MakeKey(0, RandomUse::kData));
  rest.resize(total - out.size());
  std::ranges::sort(rest);
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
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

Rows Rows::Open(const std::vector<RowSource>& sources, RowFormat format) {
  Rows rows;
  for (const RowSource& source : sources) {
    const std::string name = source.path.string();
    if (!(source.weight > 0 && source.weight <= 1000)) {
      throw InputError(name, ": weight ", source.weight, " must be above 0 and at most 1000");
    }
    File file{MappedFile::Open(source.path), format};
    const std::string_view text = TextOf(*file.map);
    const uint32_t index = static_cast<uint32_t>(rows.files_.size());
    std::vector<Place> places;
    uint32_t line = 1;
    for (size_t at = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0; at < text.size();
         ++line) {
      const size_t end = std::min(text.find('\n', at), text.size());
      if (!Strip(text.substr(at, end - at)).empty()) places.push_back({index, line, at});
      at = end + 1;
    }
    if (places.empty()) throw InputError(name, ": holds no rows");
    if (static_cast<double>(places.size()) * source.weight +
            static_cast<double>(rows.places_.size()) >
        static_cast<double>(kMaxRows)) {
      throw InputError(name, ": more than ", kMaxRows, " rows in all");
    }
    rows.files_.push_back(file);
    if (format == RowFormat::kAuto) {
      const std::string where = Cat(name, ":", places[0].line);
      rows.files_.back().format = Detect(ParseRow(rows.Line(places[0]), where), where);
    }
    const std::vector<int64_t> chosen =
        Weighted(static_cast<int64_t>(places.size()), source.weight);
    if (chosen.empty()) {
      throw InputError(name, ": weight ", source.weight, " leaves none of its rows");
    }
    for (const int64_t i : chosen) rows.places_.push_back(places[i]);
  }
  return rows;
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

bool Rows::HasMessages() const {
  return std::ranges::find(files_, RowFormat::kMessages, &File::format) != files_.end();
}

Row Rows::Read(int64_t index) const {
  Row row;
  row.where = Where(index);
  row.kind = files_[places_[index].file].format;
  const Json json = ParseRow(Line(places_[index]), row.where);
  switch (row.kind) {
    case RowFormat::kMessages:
      row.messages = ReadMessages(json, row.where);
      break;
    case RowFormat::kPromptCompletion:
      FillPromptCompletion(json, row);
      break;
    case RowFormat::kAlpaca:
      row.prompt = AlpacaPrompt(GetString(json, "instruction", row.where),
                                GetString(json, "input", row.where, ""));
      row.completion = GetString(json, "output", row.where);
      row.kind = RowFormat::kPromptCompletion;
      break;
    case RowFormat::kText:
      row.text = GetString(json, "text", row.where);
      break;
    case RowFormat::kTokens:
      FillTokens(json, row);
      break;
    case RowFormat::kAuto:
      RETORT_CHECK(false, "a file's format is settled when it is opened");
  }
  return row;
}

}  // namespace retort
