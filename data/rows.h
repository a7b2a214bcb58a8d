// SPDX-License-Identifier: Apache-2.0
// Training and evaluation rows from JSONL files: one JSON object per line; blank lines are skipped,
// CRLF and a byte order mark are accepted. Every error names the file and the line.
//
//   format             keys
//   messages           messages: [{role, content}, ...]
//   prompt_completion  prompt, completion; or question, answer, read as
//                      "Question: QUESTION\nAnswer:" and " ANSWER"
//   alpaca             instruction, output, input (may be absent or empty); read as a prompt in the
//                      Stanford Alpaca wording, and the output as its completion
//   text               text
//   tokens             input_ids, labels: same length, not shifted, -100 for no loss
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "template/chat_template.h"

namespace retort {

enum class RowFormat { kAuto, kMessages, kPromptCompletion, kAlpaca, kText, kTokens };

// "auto", "messages", ...; throws Error{kInput} with the nearest known name.
RowFormat ParseRowFormat(std::string_view name);

// A parsed row, independent of its file's format: alpaca and question/answer rows become
// kPromptCompletion. Fields of other kinds are empty.
struct Row {
  RowFormat kind = RowFormat::kText;
  std::string where;  // "train.jsonl:17"
  std::vector<Message> messages;
  std::string prompt, completion;
  std::string text;
  std::vector<int32_t> ids, labels;
};

// weight 1: every row once; 2.5: every row twice and half of them a third time; 0.1: a tenth of
// them. The selection depends only on the file's number of rows, so a run's seed never changes its
// data.
struct RowSource {
  Path path;
  double weight = 1;
};

// The rows of several files, in the order given. The files stay mapped, and only the lines'
// positions are stored (16 bytes per row); a row is parsed when it is read. Reading is thread-safe.
class Rows {
 public:
  // kAuto infers the format from the keys of each file's first row. Throws Error{kInput} if a file
  // cannot be read or has no rows, on unknown keys, and on a weight that is not in (0, 1000].
  static Rows Open(const std::vector<RowSource>& sources, RowFormat format = RowFormat::kAuto);

  int64_t size() const { return static_cast<int64_t>(places_.size()); }
  // Throws Error{kInput}: "train.jsonl:17: not JSON: ...", "a.jsonl:3: 'completion' is missing".
  Row Read(int64_t index) const;
  std::string Where(int64_t index) const;
  // The first `count` rows, or all if there are fewer.
  Rows First(int64_t count) const;
  // Whether any file has conversations, for which a chat template is needed.
  bool HasMessages() const;

 private:
  struct File {
    std::shared_ptr<const MappedFile> map;
    RowFormat format;
  };
  struct Place {
    uint32_t file, line;  // line from 1
    uint64_t offset;      // of the line's first byte
  };

  std::string_view Line(const Place& place) const;

  std::vector<File> files_;
  std::vector<Place> places_;
};

}  // namespace retort
