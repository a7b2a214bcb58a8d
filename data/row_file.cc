// SPDX-License-Identifier: Apache-2.0
#include "data/row_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"

namespace retort {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// Files that hold rows in no way that is read, told by how they begin.
void RefuseOtherFiles(std::string_view text, const std::string& name) {
  const auto begins = [&](std::string_view with) { return text.starts_with(with); };
  const char* what = begins("\x1f\x8b") ? "is compressed with gzip; unpack it first"
                     : begins("PAR1")   ? "is a Parquet file; write it as JSONL or CSV"
                     : begins("\xff\xfe") || begins("\xfe\xff")
                         ? "is UTF-16 text; write it as UTF-8"
                         : nullptr;
  if (what) throw InputError(name, ": ", what, " (rows are JSON objects, one a line)");
}

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool EndsInAnyCase(const std::string& name, std::string_view end) {
  if (name.size() < end.size()) return false;
  return std::equal(end.begin(), end.end(), name.end() - std::ssize(end), [](char a, char b) {
    return a == std::tolower(static_cast<unsigned char>(b));
  });
}

// The end of the value that begins at `at`: the comma or bracket behind it, at no depth.
size_t EndOfElement(std::string_view text, size_t at) {
  int64_t depth = 0;
  bool quoted = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted) {
      if (c == '\\')
        ++at;
      else
        quoted = c != '"';
      continue;
    }
    if (c == '"') quoted = true;
    if (c == '{' || c == '[') ++depth;
    if (depth == 0 && (c == ',' || c == ']')) return at;
    if (c == '}' || c == ']') --depth;
  }
  return at;
}

// The end of the record that begins at `at`: the line break outside quotes.
size_t EndOfRecord(std::string_view text, size_t at) {
  bool quoted = false;
  for (; at < text.size(); ++at) {
    if (text[at] == '"') quoted = !quoted;
    if (text[at] == '\n' && !quoted) return at;
  }
  return at;
}

std::vector<std::string> Fields(std::string_view record, char separator, const std::string& where) {
  if (record.ends_with('\r')) record.remove_suffix(1);
  std::vector<std::string> fields(1);
  bool quoted = false, closed = false;
  for (size_t i = 0; i < record.size(); ++i) {
    const char c = record[i];
    if (quoted) {
      if (c != '"') {
        fields.back() += c;
      } else if (i + 1 < record.size() && record[i + 1] == '"') {
        fields.back() += record[++i];
      } else {
        quoted = false, closed = true;
      }
    } else if (c == separator) {
      fields.emplace_back();
      closed = false;
    } else if (c == '"' && fields.back().empty() && !closed) {
      quoted = true;
    } else if (c == '"' || closed) {
      throw InputError(where, ": field ", fields.size(),
                       " has a double quote within; put the field in double quotes and write \"\" "
                       "for one of its own");
    } else {
      fields.back() += c;
    }
  }
  if (quoted) throw InputError(where, ": field ", fields.size(), " is in quotes that do not end");
  return fields;
}

// A column's value: text, but for lists and truth values where a row has them.
Json ValueOf(const std::string& column, const std::string& text, const std::string& where) {
  static const std::set<std::string> lists = {"messages", "tools",    "prompt",
                                              "chosen",   "rejected", "completion"};
  const std::string_view bare = Strip(text);
  if (column == "label" && (bare == "true" || bare == "True" || bare == "1")) return true;
  if (column == "label" && (bare == "false" || bare == "False" || bare == "0")) return false;
  const bool messages = column == "messages" || column == "tools";
  if (lists.contains(column) && bare.starts_with(messages ? "[" : "[{"))
    return ParseJson(bare, Cat(where, ": column ", column));
  return text;
}

}  // namespace

RowFile::RowFile(const Path& path) : map_(MappedFile::Open(path)) {
  const std::string name = path.string();
  const size_t mark = text().starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  const std::string_view all = text().substr(mark);
  RefuseOtherFiles(all, name);
  if (EndsInAnyCase(name, ".csv") || EndsInAnyCase(name, ".tsv")) {
    kind_ = Kind::kCsv;
    separator_ = EndsInAnyCase(name, ".tsv") ? '\t' : ',';
    FindRecords(mark);
  } else if (Strip(all.substr(0, 4096)).starts_with('[')) {
    kind_ = Kind::kList;
    FindElements(mark);
  } else {
    FindLines(mark);
  }
}

std::string_view RowFile::text() const {
  return {reinterpret_cast<const char*>(map_->bytes().data()), map_->bytes().size()};
}

void RowFile::FindLines(size_t at) {
  uint32_t line = 1;
  for (; at < text().size(); ++line) {
    const size_t end = std::min(text().find('\n', at), text().size());
    if (!Strip(text().substr(at, end - at)).empty()) rows_.push_back({at, end - at, line});
    at = end + 1;
  }
}

void RowFile::FindElements(size_t at) {
  const std::string_view all = text();
  const auto fault = [&](uint32_t line, const char* what) {
    return InputError(path().string(), ":", line, ": ", what);
  };
  uint32_t line = 1;
  const auto skip = [&] {
    for (; at < all.size() && IsSpace(all[at]); ++at) line += all[at] == '\n';
  };
  skip();
  ++at;  // the list's bracket
  skip();
  while (at < all.size() && all[at] != ']') {
    const size_t end = EndOfElement(all, at);
    if (end == all.size()) throw fault(line, "the list of rows does not end");
    rows_.push_back({at, end - at, line});
    line += static_cast<uint32_t>(std::count(all.begin() + static_cast<std::ptrdiff_t>(at),
                                             all.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
    at = end;
    if (all[at] == ',') {
      ++at;
      skip();
      if (at < all.size() && all[at] == ']') throw fault(line, "a row is missing behind a comma");
    }
  }
  if (at >= all.size()) throw fault(line, "the list of rows does not end");
  ++at;
  skip();
  if (at < all.size())
    throw fault(line, "something stands behind the list of rows; rows are one list, or one a line");
}

void RowFile::FindRecords(size_t at) {
  const std::string_view all = text();
  uint32_t line = 1;
  while (at < all.size()) {
    const size_t end = EndOfRecord(all, at);
    const std::string_view record = all.substr(at, end - at);
    if (!Strip(record).empty()) {
      if (columns_.empty())
        columns_ = Fields(record, separator_, Cat(path().string(), ":", line));
      else
        rows_.push_back({at, end - at, line});
    }
    line += 1 + static_cast<uint32_t>(std::ranges::count(record, '\n'));
    at = end + 1;
  }
  for (std::string& column : columns_) column = std::string(Strip(column));
  const std::set<std::string> names(columns_.begin(), columns_.end());
  if (names.size() != columns_.size() || names.contains("")) {
    throw InputError(path().string(),
                     ":1: the first line must name the columns, each once: ", Join(columns_, ", "));
  }
}

Json RowFile::Read(const RowSpan& row, const std::string& where) const {
  const std::string_view record = text().substr(row.offset, row.size);
  if (kind_ != Kind::kCsv) {
    Json json = ParseJson(Strip(record), where);
    if (!json.is_object()) throw InputError(where, ": a row must be a JSON object");
    return json;
  }
  const std::vector<std::string> fields = Fields(record, separator_, where);
  if (fields.size() != columns_.size()) {
    throw InputError(where, ": has ", fields.size(), " fields, and the first line names ",
                     columns_.size(), " columns");
  }
  Json json = Json::object();
  for (size_t i = 0; i < fields.size(); ++i)
    AddMember(json, columns_[i], ValueOf(columns_[i], fields[i], where));
  return json;
}

}  // namespace retort
