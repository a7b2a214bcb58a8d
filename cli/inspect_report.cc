// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/strings.h"
#include "base/text.h"

namespace retort {
namespace {

constexpr size_t kMostPrefix = 64;  // bytes
constexpr size_t kMostLabel = 60, kMostValue = 200, kMostKept = 4096;

using Table = std::vector<std::vector<std::string>>;

size_t Width(std::string_view cell) {  // in characters
  return static_cast<size_t>(std::count_if(cell.begin(), cell.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

// Each column is as wide as its longest cell; the last one is not padded.
void AddTable(const Table& rows, std::vector<std::string>& lines) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += "  " + row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - Width(row[i]), ' ');
    }
    lines.push_back(std::move(line));
  }
}

std::string JsonText(std::string_view text) { return DumpJson(Json(std::string(text))); }

}  // namespace

InspectReport::InspectReport(std::string kind, const Path& path)
    : kind_(std::move(kind)), path_(path.string()) {}

void InspectReport::AddFact(std::string_view label, const Json& value) {
  std::string unique(label);
  auto known = labels_.find(label);
  if (known == labels_.end()) known = labels_.emplace(unique, 0).first;
  if (++known->second > 1) unique += Cat(" #", known->second);
  std::string json = DumpJson(value);
  std::string text = value.is_string() ? value.get<std::string>() : json;
  text.resize(std::min(text.size(), kMostKept));
  facts_.push_back({std::move(unique), std::move(json), std::move(text)});
}

void InspectReport::AddFacts(const Json& object, const std::string& prefix) {
  for (const auto& [key, value] : object.items()) {
    const std::string label = prefix + key;
    if (value.is_object() && label.size() < kMostPrefix)
      AddFacts(value, label + ".");
    else
      AddFact(label, value);
  }
}

void InspectReport::AddTensor(std::string_view name, std::string_view type,
                              const std::vector<int64_t>& shape, int64_t bytes) {
  HasTensors();
  tensors_.push_back({std::string(name), std::string(type), shape, bytes});
}

std::string InspectReport::JsonLine() const {
  std::string out =
      Cat("{\"kind\":", JsonText(kind_), ",\"path\":", JsonText(path_), ",\"facts\":{");
  const char* comma = "";
  for (const Fact& f : facts_) {
    out += Cat(std::exchange(comma, ","), JsonText(f.label), ":", f.json);
  }
  out += "}";
  if (!has_tensors_) return out + "}";
  out += ",\"tensors\":[";
  comma = "";
  for (const Tensor& t : tensors_) {
    out += Cat(std::exchange(comma, ","), "{\"name\":", JsonText(t.name),
               ",\"type\":", JsonText(t.type), ",\"shape\":", DumpJson(Json(t.shape)),
               ",\"bytes\":", t.bytes, "}");
  }
  return out + "]}";
}

std::vector<std::string> InspectReport::Lines() const {
  std::vector<std::string> lines = {Cat(OneLine(path_, kMostKept), ": ", kind_)};
  Table facts;
  for (const Fact& f : facts_)
    facts.push_back({OneLine(f.label, kMostLabel), OneLine(f.text, kMostValue)});
  AddTable(facts, lines);
  if (!has_tensors_) return lines;
  lines.push_back("");
  Table tensors;
  for (const Tensor& t : tensors_) {
    tensors.push_back({OneLine(t.name, kMostLabel), OneLine(t.type, kMostLabel),
                       OneLine(ShapeText(t.shape), kMostLabel), BytesText(t.bytes)});
  }
  AddTable(tensors, lines);
  return lines;
}

}  // namespace retort
