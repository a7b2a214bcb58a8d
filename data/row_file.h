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
// All are UTF-8. CRLF and a byte order mark are accepted in all of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace retort {

// A row's place in its file.
struct RowSpan {
  uint64_t offset, size;
  uint32_t line;  // of its beginning, from 1
};

// The file stays mapped. Only the place of every 32nd row is kept, from which others are found, and
// no page stays in memory for having been looked through. Reading is thread-safe.
class RowFile {
 public:
  // Looks through the whole file. Throws Error{kInput} naming the file when it cannot be read, or
  // is of another kind.
  explicit RowFile(const Path& path);

  int64_t rows() const { return rows_; }
  RowSpan Span(int64_t row) const;
  // Throws Error{kInput} beginning with `where`.
  Json Read(const RowSpan& row, const std::string& where) const;
  // These rows will not be read again soon.
  void Drop(int64_t first, int64_t last) const;
  const MappedFile& file() const { return *map_; }
  const Path& path() const { return map_->path(); }

 private:
  enum class Kind : uint8_t { kLines, kList, kCsv };
  // Where the next row begins, or what stands before it.
  struct Cursor {
    size_t at = 0;
    uint32_t line = 1;
  };

  std::string_view text() const;
  Cursor Start();
  // The row at the cursor, which moves behind it; nullopt: there is none.
  std::optional<RowSpan> Next(Cursor& cursor) const;
  std::optional<RowSpan> NextLine(Cursor& cursor) const;
  std::optional<RowSpan> NextElement(Cursor& cursor) const;
  std::optional<RowSpan> NextRecord(Cursor& cursor) const;
  void SkipSpace(Cursor& cursor) const;
  void EndList(Cursor cursor) const;
  void TakeColumns(const RowSpan& record);
  Error FaultAt(const Cursor& cursor, const char* what) const;

  std::shared_ptr<const MappedFile> map_;
  Kind kind_ = Kind::kLines;
  char separator_ = ',';
  std::vector<std::string> columns_;
  int64_t rows_ = 0;
  std::vector<Cursor> marks_;
};

}  // namespace retort
