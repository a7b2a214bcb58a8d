// SPDX-License-Identifier: Apache-2.0
#include "data/row_faults.h"

#include <algorithm>
#include <cctype>

namespace retort {
namespace {

constexpr size_t kMostKinds = 100, kMostPlaces = 8;

// The text with numbers and quoted texts left out.
std::string PatternOf(const std::string& what) {
  std::string out;
  bool quoted = false;
  for (const char c : what) {
    if (c == '"') quoted = !quoted;
    if (quoted || std::isdigit(static_cast<unsigned char>(c))) continue;
    out += c;
  }
  return out;
}

// "17" of "train.jsonl:17".
std::string LineOf(const std::string& where) { return where.substr(where.rfind(':') + 1); }

}  // namespace

void RowFaults::Add(const std::string& where, const std::string& what) {
  const std::string pattern = PatternOf(what);
  auto kind = std::ranges::find(kinds_, pattern, &Kind::pattern);
  if (kind == kinds_.end()) {
    if (kinds_.size() == kMostKinds) return;
    kind = kinds_.insert(kinds_.end(), {pattern, where, what, {}, 0, false});
  }
  if (kind->count++ > 0 && kind->others.size() < kMostPlaces) kind->others.push_back(where);
}

void RowFaults::AddCounted(const std::string& first_where, const std::string& text, int64_t count) {
  kinds_.push_back({"", first_where, text, {}, count, true});
}

std::string RowFaults::Line(const Kind& kind, int64_t rows) const {
  std::string text = Cat(kind.first_where, ": ", kind.first_what);
  if (kind.count == 1 || kind.complete) return text;
  std::vector<std::string> lines;
  const std::string file = kind.first_where.substr(0, kind.first_where.rfind(':'));
  for (const std::string& where : kind.others)
    lines.push_back(where.starts_with(file + ":") ? LineOf(where) : where);
  const int64_t more = kind.count - 1 - std::ssize(lines);
  return Cat(text, " (", kind.count, " of ", rows, " rows; also ", Join(lines, ", "),
             more > 0 ? Cat(" and ", more, " more") : "", ")");
}

void RowFaults::Throw(int64_t rows, const std::vector<std::string>& notes) const {
  if (kinds_.size() == 1) throw RowFaultsError(Line(kinds_.front(), rows), {}, notes);
  std::vector<std::string> faults;
  int64_t count = 0;
  for (const Kind& kind : kinds_) {
    faults.push_back(Line(kind, rows));
    count += kind.count;
  }
  const std::string& where = kinds_.front().first_where;
  throw RowFaultsError(
      Cat(where.substr(0, where.rfind(':')), ": ", kinds_.size(), " kinds of fault in the rows (",
          count, " in all); mend them and start again"),
      std::move(faults), notes);
}

}  // namespace retort
