// SPDX-License-Identifier: Apache-2.0
// A file of rows: where each row stands in it, and a row as JSON.
//
//   JSONL   a JSON object on each line; blank lines are skipped
//   JSON    a list of objects, [{...}, {...}]
//   CSV     a first line with the columns' names, then a record a row (RFC 4180: fields may be in
//           double quotes, "" is one quote, line breaks may be within); the file's name ends in
//           .csv, or in .tsv with tabs between fields. A row is an object of texts; columns named
//           messages, tools, prompt, chosen, rejected or completion may hold lists as JSON, and
//           label true or false
//
// CRLF and a byte order mark are accepted in all of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace retort {

// A row's place in its file.
struct RowSpan {
  uint64_t offset, size;
  uint32_t line;  // of its beginning, from 1
};

class RowFile {
 public:
  // Throws Error{kInput} naming the file when it cannot be read, or is of another kind.
  explicit RowFile(const Path& path);

  const std::vector<RowSpan>& rows() const { return rows_; }
  // Throws Error{kInput} beginning with `where`.
  Json Read(const RowSpan& row, const std::string& where) const;
  const Path& path() const { return map_->path(); }
  // After the rows have been taken: the places are no longer needed.
  std::vector<RowSpan> TakeRows() { return std::move(rows_); }

 private:
  enum class Kind : uint8_t { kLines, kList, kCsv };

  std::string_view text() const;
  void FindLines(size_t at);
  void FindElements(size_t at);
  void FindRecords(size_t at);

  std::shared_ptr<const MappedFile> map_;
  Kind kind_ = Kind::kLines;
  char separator_ = ',';
  std::vector<std::string> columns_;
  std::vector<RowSpan> rows_;
};

}  // namespace retort
