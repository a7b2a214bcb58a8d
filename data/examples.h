// SPDX-License-Identifier: Apache-2.0
// Converts rows to token ids and loss masks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/answer_check.h"
#include "data/example_list.h"
#include "data/rows.h"
#include "template/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace retort {

enum class LossOn : uint8_t { kCompletion, kAll, kLast, kChoices };
// What the rows' answers are to the training.
enum class Answers : uint8_t {
  kOne,    // each is learnt
  kPairs,  // a preferred and a rejected one in every row, which make two joined examples
  kJudged  // each is wanted or not; the two of a preference row are two rows
};
enum class OverLength {
  kError,     // throw Error{kInput} naming the row
  kDrop,      // leave the row out
  kTruncate,  // keep its first max_tokens tokens
  kSplit,  // several examples; each begins with the last token of the previous one, so that every
  // token is predicted exactly once; parts without loss are left out
};
enum class Audit { kStop, kWarn, kOff };

// "completion" | "all", "error" | ..., "stop" | ...; throw Error{kInput} naming the known ones.
LossOn ParseLossOn(std::string_view name);
OverLength ParseOverLength(std::string_view name);
Audit ParseAudit(std::string_view name);

struct ExampleOptions {
  LossOn loss_on = LossOn::kCompletion;
  OverLength over_length = OverLength::kError;
  Audit audit = Audit::kStop;
  Answers answers = Answers::kOne;
  int64_t max_tokens = 1024;
  // max_tokens is the model's number of positions, which no setting raises.
  bool model_limit = false;
  bool add_eos = true;
  // What the answers must be; needed for LossOn::kChoices. Null: anything.
  std::shared_ptr<const AnswerCheck> answer_check;
  // What a message calls the settings: a recipe's keys or a command's flags.
  std::string max_tokens_name = "data.max_tokens", over_length_name = "data.over_length";
};

// Ids and labels of one row, without applying the length limit:
//   prompt + completion  EncodePrompt(prompt), then the completion as a continuation and (add_eos)
//                        the end token; loss on the last two
//   messages             EncodeChat's ids; loss on every assistant turn that is to be learnt
//                        (Message::learn) and its end-of-turn token
//   text                 EncodePrompt(text) and (add_eos) the end token; loss on everything
//   tokens               as given; ids must be within the vocabulary
// With LossOn::kAll every token carries loss, except in tokens rows and turns not to be learnt;
// with kLast, of a conversation only the last of the turns that are to be learnt; with kChoices,
// what AnswerCheck::LeaveForced leaves of kCompletion.
// `chat` may be null if no row is a conversation. Throws Error{kInput} naming the row.
Example EncodeRow(const Row& row, const Tokenizer& tokenizer, const ChatTemplate* chat,
                  const ExampleOptions& options);
// The same, or nullopt if there are more than `limit` tokens; a long row is not encoded whole to
// find that out (Tokenizer::EncodeAtMost).
std::optional<Example> EncodeRowAtMost(const Row& row, const Tokenizer& tokenizer,
                                       const ChatTemplate* chat, const ExampleOptions& options,
                                       size_t limit);

// The row's conversation, up to the message `count`.
Conversation ConversationOf(const Row& row, size_t count);

// The runner's input for the row: its prompt, or the conversation without the assistant's turn that
// it may end with and with a generation prompt, or the text itself. EncodeRow's ids begin with
// these, but for a conversation that ends with another turn, which asks for an answer.
std::vector<int32_t> EncodeRowPrompt(const Row& row, const Tokenizer& tokenizer,
                                     const ChatTemplate* chat);
// A completion encoded as a continuation of its prompt, with the end token if add_eos.
std::vector<int32_t> EncodeCompletion(const Tokenizer& tokenizer, std::string_view completion,
                                      bool add_eos);

struct ExampleSet {
  Examples examples;                              // in the rows' order
  int64_t rows = 0;                               // read; examples may be more
  int64_t dropped = 0, truncated = 0, split = 0;  // rows over max_tokens, by how they were handled
  int64_t without_loss = 0;  // rows in which no token carries loss; kept only for tokens rows
  int64_t tokens = 0, loss_tokens = 0;
  int64_t distinct_ids = 0;        // that occur in the examples
  std::string hash;                // SHA-256 over the examples' hashes (data/example_hash.h)
  std::vector<std::string> notes;  // the audit's findings and the counts above, one line each
};

// Rows in fewer bytes are tokenised within seconds, and their tokens fit into memory.
inline constexpr int64_t kCachedRows = int64_t{32} << 20;

// How MakeExamples works. Nothing of it changes what is made.
struct ExampleWork {
  int threads = 0;  // 0: all
  // Where the examples of rows of at least `cached_rows` bytes are kept, and looked for. Empty:
  // they are made each time.
  Path cache;
  int64_t cached_rows = kCachedRows;
  bool keep = true;  // false: a cache is read if there is one, but nothing is written there
  std::function<void(int64_t done, int64_t rows)> on_progress;  // while rows are tokenised
};

// Encodes and audits (data/audit.h) all rows. Throws Error{kInput} naming the faulty rows, or if no
// row is left. The examples of rows in many bytes are never in memory.
ExampleSet MakeExamples(const Rows& rows, const Tokenizer& tokenizer, const ChatTemplate* chat,
                        const ExampleOptions& options, const ExampleWork& work = {});

// The example as text, with special tokens spelt out and the tokens that carry loss between ⟦ and
// ⟧.
std::string ShowExample(const Example& example, const Tokenizer& tokenizer);

}  // namespace retort
