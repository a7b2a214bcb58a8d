// SPDX-License-Identifier: Apache-2.0
// Training and evaluation rows from files of JSON objects (data/row_file.h). Every error names the
// file and the line.
//
//   format             keys
//   messages           messages: [{role, content}, ...]; a message may have weight (0 or 1), train
//                      or loss (true or false): an assistant's turn with 0 or false carries no
//                      loss; its other keys (tool_calls, reasoning_content, ...) and the row's
//                      tools, documents, enable_thinking and chat_template_kwargs are the
//                      template's
//   prompt_completion  prompt, completion; or question, answer, read as
//                      "Question: QUESTION\nAnswer:" and " ANSWER"
//   alpaca             instruction, output, input (may be absent or empty); read as a prompt in the
//                      Stanford Alpaca wording, and the output as its completion; history, a list
//                      of [instruction, output]: earlier turns, in the prompt and without loss
//   text               text
//   tokens             input_ids, labels: same length, not shifted, -100 for no loss
//   preference         prompt, chosen, rejected: two answers, the first the better one; without
//                      prompt, what both begin with; or OpenAI's input, preferred_output,
//                      non_preferred_output
//   unpaired           prompt, completion, label: true if the answer is a good one
//
// In the second and the last two, prompt and answers are texts, or lists of messages: these are
// read as a conversation in which only the answer's turns are learnt.
//
// A row, but for those of text and tokens, may have a key `system`: the conversation's system
// message, or a text before the prompt with a blank line behind it. What is known of other keys:
// data/row_keys.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "data/row_file.h"
#include "template/chat_template.h"

namespace retort {

enum class RowFormat : uint8_t {
  kAuto,
  kMessages,
  kPromptCompletion,
  kAlpaca,
  kText,
  kTokens,
  kPreference,
  kUnpaired
};

// "auto", "messages", ...; throws Error{kInput} with the nearest known name.
RowFormat ParseRowFormat(std::string_view name);

// A parsed row, independent of its file's format: of kind kMessages, kPromptCompletion (alpaca and
// question/answer rows too), kText or kTokens. Fields of other kinds are empty.
struct Row {
  RowFormat kind = RowFormat::kText;
  std::string where;  // "train.jsonl:17"
  std::vector<Message> messages;
  std::string tools, variables;  // of a conversation (template/conversation.h)
  std::string prompt, completion;
  std::string text;
  std::vector<int32_t> ids, labels;
  // Of format preference: the same prompt with the rejected answer.
  std::shared_ptr<const Row> rejected;
  // Whether the answer is one to be given. nullopt: the row does not say.
  std::optional<bool> wanted;
};

inline constexpr double kLeastWeight = 1e-6, kMostWeight = 1e6;
inline constexpr std::string_view kWeightRange = "1e-6 to 1e6";

// weight: how often a row of this file is drawn in training, relative to the rows of other files
// (data/packing.h). It does not change which rows there are.
struct RowSource {
  Path path;
  double weight = 1;
};

// The rows of several files, in the order given, each once. The files stay mapped (RowFile); a row
// is found and parsed when it is read. Reading is thread-safe.
class Rows {
 public:
  // kAsked: the rows are prompts, whose answers may be missing; those are read as empty.
  enum class Use : uint8_t { kAnswered, kAsked };
  // kAuto infers the format from the keys of each file's first row. Throws Error{kInput} if a file
  // cannot be read, has no rows or is no JSONL, and on a weight outside kLeastWeight ...
  // kMostWeight.
  static Rows Open(const std::vector<RowSource>& sources, RowFormat format = RowFormat::kAuto,
                   Use use = Use::kAnswered);

  int64_t size() const;
  // Throws Error{kInput}: "train.jsonl:17: not JSON: ...", "a.jsonl:3: 'completion' is missing",
  // "a.jsonl:3: 'chosen' is not supported: ...".
  Row Read(int64_t index) const;
  std::string Where(int64_t index) const;
  // The bytes of the row in its file.
  int64_t Bytes(int64_t index) const;
  // The rows first ... last will not be read again soon: their pages are given back.
  void Drop(int64_t first, int64_t last) const;
  // The first `count` rows, or all if there are fewer.
  Rows First(int64_t count) const;
  // These rows, in this order.
  Rows Only(const std::vector<uint32_t>& indices) const;
  // Whether any file has conversations, for which a chat template is needed.
  bool HasMessages() const;
  // Whether any file has prompts or texts, which end with the end token.
  bool HasTexts() const;

  int32_t Source(int64_t index) const { return static_cast<int32_t>(PlaceOf(index).file); }
  const std::vector<RowSource>& sources() const { return sources_; }
  // The source's file, and whether its rows are read as conversations, as texts, and so on.
  const MappedFile& File(size_t source) const { return files_.at(source).held->file(); }
  RowFormat Format(size_t source) const { return files_.at(source).format; }
  // Which of the files' rows these are; empty: all of them.
  const std::vector<uint32_t>& chosen() const { return chosen_; }
  // One line about the keys of all rows read so far that are no part of the training; "" if there
  // are none.
  std::string UnreadNote() const;

 private:
  struct OpenFile {
    std::shared_ptr<const RowFile> held;
    int64_t first;  // of its rows, counted over all files
    RowFormat format;
    bool detected = false;       // the format was inferred
    bool conversations = false;  // by its first row
  };
  struct Place {
    size_t file;
    int64_t row;  // in the file
  };

  Place PlaceOf(int64_t index) const;
  RowSpan SpanOf(int64_t index) const;
  Json ReadJsonAt(const OpenFile& file, const RowSpan& span, const std::string& where) const;
  void LookAtFirst(OpenFile& file) const;
  void RefuseKeys(int64_t index, const Json& json) const;

  Use use_ = Use::kAnswered;
  std::vector<RowSource> sources_;
  std::vector<OpenFile> files_;
  int64_t rows_ = 0;  // of all files
  struct Unread;      // the keys told by UnreadNote
  std::shared_ptr<Unread> unread_;
  std::vector<uint32_t> chosen_;
};

}  // namespace retort
