// SPDX-License-Identifier: Apache-2.0
#include "data/row_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/text.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr const char* kListDoesNotEnd = "the list of rows does not end";
constexpr int64_t kRowsPerMark = 32;
constexpr size_t kLookedAt = 1 << 20;       // bytes of a file's beginning
constexpr size_t kDroppedBytes = 16 << 20;  // looked through, before their pages are given back

// Files that hold rows in no way that is read, told by how they begin.
void RefuseOtherFiles(std::string_view text, const std::string& name) {
  const auto begins = [&](std::string_view with) { return text.starts_with(with); };
  const bool utf16 = begins("\xff\xfe") || begins("\xfe\xff") ||
                     text.substr(0, 2).find('\0') != std::string_view::npos;
  const char* what = begins("\x1f\x8b") ? "is compressed with gzip; unpack it first"
                     : begins("PAR1") ? "is a Parquet file; pandas.read_parquet(FILE).to_json(OUT, "
                                        "orient='records', lines=True) writes it as JSONL"
                     : utf16          ? "is UTF-16 text; write it as UTF-8"
                                      : nullptr;
  if (what) throw InputError(name, ": ", what, " (rows are JSON objects, one a line)");
}

// Lines that end in CR alone would be one.
void RefuseOldLines(std::string_view text, const std::string& name) {
  const std::string_view begin = Strip(text.substr(0, kLookedAt));
  if (begin.find('\n') != std::string_view::npos || begin.find('\r') == std::string_view::npos)
    return;
  throw InputError(name, ": its lines end in CR alone; write them with LF, or CR and LF");
}

// JSON is checked by its parser.
void CheckUtf8(std::string_view record, const std::string& where) {
  const size_t end = ValidUtf8End(record, 0);
  if (end == record.size()) return;
  throw InputError(where, ": byte ", end + 1,
                   " of the record is not UTF-8 (is the file Windows-1252 or Latin-1?); save it as "
                   "UTF-8");
}

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool EqualInAnyCase(std::string_view text, std::string_view lower) {
  return std::ranges::equal(
      text, lower, [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
}

bool EndsInAnyCase(std::string_view name, std::string_view end) {
  return name.size() >= end.size() && EqualInAnyCase(name.substr(name.size() - end.size()), end);
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
  return text.size();
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
  if (column == "label" && (EqualInAnyCase(bare, "true") || bare == "1")) return true;
  if (column == "label" && (EqualInAnyCase(bare, "false") || bare == "0")) return false;
  const bool messages = column == "messages" || column == "tools";
  if (lists.contains(column) && bare.starts_with(messages ? "[" : "[{"))
    return ParseJson(bare, Cat(where, ": column ", column));
  return text;
}

}  // namespace

RowFile::RowFile(const Path& path) : map_(MappedFile::Open(path)) {
  Cursor cursor = Start();
  size_t looked_through = 0;
  for (Cursor before = cursor; const auto row = Next(cursor); before = cursor) {
    if (rows_++ % kRowsPerMark == 0) marks_.push_back(before);
    if (cursor.at - looked_through < kDroppedBytes) continue;
    map_->Drop(map_->bytes().subspan(looked_through, cursor.at - looked_through));
    looked_through = cursor.at;
  }
  map_->Drop(map_->bytes());
}

std::string_view RowFile::text() const {
  return {reinterpret_cast<const char*>(map_->bytes().data()), map_->bytes().size()};
}

// Finds out what kind of file it is, and returns where its first row is looked for.
RowFile::Cursor RowFile::Start() {
  const std::string name = path().string();
  Cursor start;
  if (text().starts_with(kByteOrderMark)) start.at = kByteOrderMark.size();
  const std::string_view all = text().substr(start.at);
  RefuseOtherFiles(all, name);
  if (EndsInAnyCase(name, ".csv") || EndsInAnyCase(name, ".tsv")) {
    kind_ = Kind::kCsv;
    separator_ = EndsInAnyCase(name, ".tsv") ? '\t' : ',';
    RefuseOldLines(all, name);
    if (const auto names = NextRecord(start)) TakeColumns(*names);
  } else if (Strip(all.substr(0, 4096)).starts_with('[')) {
    kind_ = Kind::kList;
    SkipSpace(start);
    ++start.at;  // the list's bracket
    SkipSpace(start);
  } else {
    RefuseOldLines(all, name);
  }
  return start;
}

std::optional<RowSpan> RowFile::Next(Cursor& cursor) const {
  if (kind_ == Kind::kLines) return NextLine(cursor);
  return kind_ == Kind::kList ? NextElement(cursor) : NextRecord(cursor);
}

Error RowFile::FaultAt(const Cursor& cursor, const char* what) const {
  return InputError(path().string(), ":", cursor.line, ": ", what);
}

void RowFile::SkipSpace(Cursor& cursor) const {
  for (; cursor.at < text().size() && IsSpace(text()[cursor.at]); ++cursor.at)
    cursor.line += text()[cursor.at] == '\n';
}

std::optional<RowSpan> RowFile::NextLine(Cursor& cursor) const {
  while (cursor.at < text().size()) {
    const size_t end = std::min(text().find('\n', cursor.at), text().size());
    const RowSpan row{cursor.at, end - cursor.at, cursor.line};
    cursor = {end + 1, cursor.line + 1};
    if (!Strip(text().substr(row.offset, row.size)).empty()) return row;
  }
  return std::nullopt;
}

std::optional<RowSpan> RowFile::NextElement(Cursor& cursor) const {
  const std::string_view all = text();
  if (cursor.at >= all.size() || all[cursor.at] == ']') {
    EndList(cursor);
    return std::nullopt;
  }
  const size_t end = EndOfElement(all, cursor.at);
  if (end == all.size()) throw FaultAt(cursor, kListDoesNotEnd);
  const RowSpan row{cursor.at, end - cursor.at, cursor.line};
  cursor.line += static_cast<uint32_t>(std::ranges::count(all.substr(row.offset, row.size), '\n'));
  cursor.at = end;
  if (all[end] == ']') return row;
  ++cursor.at;
  SkipSpace(cursor);
  if (cursor.at < all.size() && all[cursor.at] == ']')
    throw FaultAt(cursor, "a row is missing behind a comma");
  return row;
}

void RowFile::EndList(Cursor cursor) const {
  if (cursor.at >= text().size()) throw FaultAt(cursor, kListDoesNotEnd);
  ++cursor.at;
  SkipSpace(cursor);
  if (cursor.at < text().size())
    throw FaultAt(cursor,
                  "something stands behind the list of rows; rows are one list, or one a line");
}

std::optional<RowSpan> RowFile::NextRecord(Cursor& cursor) const {
  while (cursor.at < text().size()) {
    const size_t end = EndOfRecord(text(), cursor.at);
    const RowSpan row{cursor.at, end - cursor.at, cursor.line};
    const std::string_view record = text().substr(row.offset, row.size);
    cursor.line += 1 + static_cast<uint32_t>(std::ranges::count(record, '\n'));
    cursor.at = end + 1;
    if (!Strip(record).empty()) return row;
  }
  return std::nullopt;
}

void RowFile::TakeColumns(const RowSpan& record) {
  const std::string where = Cat(path().string(), ":", record.line);
  const std::string_view line = text().substr(record.offset, record.size);
  CheckUtf8(line, where);
  columns_ = Fields(line, separator_, where);
  const std::string_view others = separator_ == ',' ? ";\t" : ";,";
  if (columns_.size() == 1 && columns_[0].find_first_of(others) != std::string::npos) {
    throw InputError(where, ": names one column, ", Quoted(columns_[0]), "; separate fields with ",
                     separator_ == ',' ? "commas, or with tabs in a file whose name ends in .tsv"
                                       : "tabs, or with commas in a file whose name ends in .csv");
  }
  for (std::string& column : columns_) column = std::string(Strip(column));
  const std::set<std::string> names(columns_.begin(), columns_.end());
  if (names.size() != columns_.size() || names.contains("")) {
    throw InputError(path().string(),
                     ":1: the first line must name the columns, each once: ", Join(columns_, ", "));
  }
}

RowSpan RowFile::Span(int64_t row) const {
  RETORT_CHECK(row >= 0 && row < rows_, "row ", row, " of ", rows_);
  Cursor cursor = marks_[static_cast<size_t>(row / kRowsPerMark)];
  std::optional<RowSpan> span = Next(cursor);
  for (int64_t i = 0; i < row % kRowsPerMark && span; ++i) span = Next(cursor);
  if (!span) throw InputError(path().string(), ": was changed while it was read");
  return *span;
}

void RowFile::Drop(int64_t first, int64_t last) const {
  const RowSpan begin = Span(first), end = Span(last);
  map_->Drop(map_->bytes().subspan(begin.offset, end.offset + end.size - begin.offset));
}

Json RowFile::Read(const RowSpan& row, const std::string& where) const {
  const std::string_view record = text().substr(row.offset, row.size);
  if (kind_ != Kind::kCsv) {
    if (kind_ == Kind::kLines && Strip(record) == "{") {
      throw InputError(
          where,
          ": a row begins and does not end on its line; write each object on one line, "
          "or all as a list [{...}, {...}]");
    }
    Json json = ParseJson(Strip(record), where);
    if (!json.is_object()) throw InputError(where, ": a row must be a JSON object");
    return json;
  }
  CheckUtf8(record, where);
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
