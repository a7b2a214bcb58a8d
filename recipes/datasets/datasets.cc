// SPDX-License-Identifier: Apache-2.0
#include "recipes/datasets/datasets.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "base/strings.h"
#include "base/text.h"
#include "data/row_file.h"

namespace retort::datasets {
namespace {

constexpr uint64_t kSeed = 1;
constexpr size_t kBankingEval = 1000, kRestaurantEval = 600;

TextRow IntentRow(const std::string& message, const std::string& label) {
  return {Cat("Message: ", Strip(message), "\nIntent:"), Cat(" ", label)};
}

// The rows of a JSON list or CSV file, each as `convert` makes it.
template <class Convert>
std::vector<TextRow> RowsOf(const Path& path, const Convert& convert) {
  const RowFile file(path);
  std::vector<TextRow> rows;
  rows.reserve(static_cast<size_t>(file.rows()));
  for (int64_t i = 0; i < file.rows(); ++i) {
    const RowSpan span = file.Span(i);
    const std::string where = Cat(path.string(), ":", span.line);
    rows.push_back(convert(file.Read(span, where), where));
  }
  return rows;
}

// Moves `count` rows out of `train`, drawn by a fixed seed. Both keep their order.
std::vector<TextRow> TakeHeldOut(std::vector<TextRow>& train, size_t count) {
  if (train.size() <= count)
    throw InputError("the training file has ", train.size(), " rows; more than ", count,
                     " are expected: is it a part of the data set?");
  std::vector<std::pair<uint32_t, size_t>> order;
  order.reserve(train.size());
  for (size_t i = 0; i < train.size(); ++i)
    order.emplace_back(RandomStream(MakeKey(kSeed, RandomUse::kData, i)).Next(), i);
  std::ranges::sort(order);
  std::vector<bool> held(train.size());
  for (size_t i = 0; i < count; ++i) held[order[i].second] = true;
  std::vector<TextRow> kept, out;
  for (size_t i = 0; i < train.size(); ++i) (held[i] ? out : kept).push_back(std::move(train[i]));
  train = std::move(kept);
  return out;
}

// Throws for a label of the rows that is not in the list.
void CheckLabels(const std::vector<TextRow>& rows, const std::vector<std::string>& labels,
                 const Path& file) {
  for (const TextRow& row : rows) {
    const std::string label(Strip(row.completion));
    if (std::ranges::find(labels, label) == labels.end())
      throw InputError(file.string(), ": the intent ", Quoted(label),
                       " is not in the list of intents");
  }
}

Dataset ReadBanking(const Path& folder) {
  const auto convert = [](const Json& row, const std::string& where) {
    return IntentRow(GetString(row, "text", where), GetString(row, "category", where));
  };
  Dataset out;
  out.train = RowsOf(folder / "train.csv", convert);
  out.test = RowsOf(folder / "test.csv", convert);
  for (const Json& label : ReadJson(folder / "categories.json")) out.labels.push_back(label);
  CheckLabels(out.train, out.labels, folder / "train.csv");
  CheckLabels(out.test, out.labels, folder / "test.csv");
  out.eval = TakeHeldOut(out.train, kBankingEval);
  return out;
}

// The pairs of text and intent under both keys.
std::vector<TextRow> ClincRows(const Json& file, const std::string& where, const char* in_scope,
                               const char* out_of_scope) {
  std::vector<TextRow> rows;
  for (const char* key : {in_scope, out_of_scope}) {
    if (!file.contains(key) || !file[key].is_array())
      throw InputError(where, ": '", key, "' must be a list of [text, intent]");
    for (const Json& pair : file[key]) {
      if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string())
        throw InputError(where, ": '", key, "' holds ", Quoted(DumpJson(pair)),
                         "; [text, intent] is expected");
      rows.push_back(IntentRow(pair[0], pair[1]));
    }
  }
  return rows;
}

Dataset ReadClinc(const Path& folder) {
  const Path path = folder / "data_full.json";
  const std::string where = path.string();
  const Json file = ReadJson(path);
  Dataset out;
  out.train = ClincRows(file, where, "train", "oos_train");
  out.eval = ClincRows(file, where, "val", "oos_val");
  out.test = ClincRows(file, where, "test", "oos_test");
  std::map<std::string, int> labels;
  for (const TextRow& row : out.train) ++labels[std::string(Strip(row.completion))];
  for (const auto& [label, rows] : labels) out.labels.push_back(label);
  return out;
}

// The characters begin ... end - 1 of a UTF-8 text.
std::string Characters(const std::string& text, int64_t begin, int64_t end,
                       const std::string& where) {
  std::string out;
  int64_t at = -1;
  for (const char c : text) {
    at += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    if (at >= begin && at < end) out += c;
  }
  if (begin < 0 || begin >= end || end > at + 1)
    throw InputError(where, ": a span of ", begin, " ... ", end, " in a text of ", at + 1,
                     " characters");
  return out;
}

// {"date": "tonight", "time": "7pm"}, in the order of the alphabet.
std::string BookingText(const std::map<std::string, std::string>& slots) {
  std::vector<std::string> members;
  members.reserve(slots.size());
  for (const auto& [slot, value] : slots)
    members.push_back(Cat(DumpJson(slot), ": ", DumpJson(value)));
  return Cat("{", Join(members, ", "), "}");
}

TextRow BookingRow(const Json& row, const std::string& where) {
  const Json none = Json::object();
  const Json& input = row.contains("userInput") ? row["userInput"] : none;
  const std::string text = GetString(input, "text", where);
  std::map<std::string, std::string> slots;
  if (row.contains("labels")) {
    for (const Json& label : row["labels"]) {
      const Json& span = label.contains("valueSpan") ? label["valueSpan"] : none;
      // A span at the beginning has no startIndex.
      slots[GetString(label, "slot", where)] = Characters(
          text, GetInt(span, "startIndex", where, 0), GetInt(span, "endIndex", where), where);
    }
  }
  // What the system had asked for, which tells the time 13 from a party of 13.
  std::vector<std::string> asked;
  if (row.contains("context") && row["context"].contains("requestedSlots")) {
    for (const Json& slot : row["context"]["requestedSlots"]) asked.push_back(slot);
  }
  const std::string context = asked.empty() ? "" : Cat(" (asked for: ", Join(asked, ", "), ")");
  return {Cat("Message", context, ": ", text, "\nBooking:"), Cat(" ", BookingText(slots))};
}

Dataset ReadRestaurant(const Path& folder) {
  Dataset out;
  out.train = RowsOf(folder / "train_0.json", BookingRow);
  out.test = RowsOf(folder / "test.json", BookingRow);
  out.eval = TakeHeldOut(out.train, kRestaurantEval);
  return out;
}

void WriteRows(const std::vector<TextRow>& rows, const Path& path) {
  AtomicFile file(path);
  for (const TextRow& row : rows)
    file.Write(DumpJson(Json{{"prompt", row.prompt}, {"completion", row.completion}}) + "\n");
  file.Commit();
}

}  // namespace

Dataset ReadDataset(const std::string& name, const Path& folder) {
  if (name == "banking77") return ReadBanking(folder);
  if (name == "clinc150") return ReadClinc(folder);
  if (name == "restaurant8k") return ReadRestaurant(folder);
  throw InputError(Quoted(name), " is no data set; use banking77, clinc150 or restaurant8k");
}

void WriteDataset(const Dataset& dataset, const Path& out) {
  MakeFolders(out);
  WriteRows(dataset.train, out / "train.jsonl");
  WriteRows(dataset.eval, out / "eval.jsonl");
  WriteRows(dataset.test, out / "test.jsonl");
  if (!dataset.labels.empty())
    WriteTextAtomically(out / "labels.json", DumpJson(Json(dataset.labels), 1) + "\n");
}

}  // namespace retort::datasets
