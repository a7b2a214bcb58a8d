// SPDX-License-Identifier: Apache-2.0
#include "train/metrics_csv.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/json.h"
#include "base/strings.h"

namespace retort {

std::string MetricsCsv(const Path& metrics) {
  std::vector<Json> lines;
  std::vector<std::string> columns;
  std::vector<std::string> texts = Split(ReadText(metrics, UINT64_MAX), '\n');
  texts.pop_back();  // what follows the last line's end: nothing, or a line that is not whole
  for (const std::string& text : texts) {
    lines.push_back(ParseJson(text, metrics.string()));
    for (const auto& [key, _] : lines.back().items()) {
      if (std::ranges::find(columns, key) == columns.end()) columns.push_back(key);
    }
  }
  std::string out = Join(columns, ",") + "\r\n";
  for (const Json& line : lines) {
    std::vector<std::string> fields;
    fields.reserve(columns.size());
    for (const std::string& column : columns)
      fields.push_back(line.contains(column) ? DumpJson(line[column]) : "");
    out += Join(fields, ",") + "\r\n";
  }
  return out;
}

}  // namespace retort
