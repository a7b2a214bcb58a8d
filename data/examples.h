// SPDX-License-Identifier: Apache-2.0
// Rows to token ids and loss masks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/rows.h"
#include "template/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace retort {

constexpr int32_t kNoLoss = -100;

// One sequence of tokens whose attention stays within it. labels[i] is the token to be predicted at
// place i (from the tokens before it), kNoLoss where nothing is asked: no shift is applied here.
struct Example {
  int64_t row = 0;  // index in Rows; the parts of a split row share it
  std::vector<int32_t> ids;
  std::vector<int32_t> labels;  // as many as ids
  // An answer that the model itself has given: nobody says that it is right, so cross-entropy has
  // no part in it.
  bool generated = false;
  // Belongs to the example before it (a rejected answer after the chosen one): the two are one
  // group, which is shuffled, packed and computed as a whole. The first example of all never does.
  bool joined = false;

  int64_t size() const { return static_cast<int64_t>(ids.size()); }
  // Tokens that carry loss. A label at place 0 never counts: nothing comes before it to predict it.
  int64_t LossTokens() const;
};

enum class LossOn { kCompletion, kAll };
enum class OverLength {
  kError,     // refuse the row, naming it
  kDrop,      // leave it out
  kTruncate,  // keep its first max_tokens tokens
  kSplit,     // several examples; each begins with the last token of the one before, so that every
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
  int64_t max_tokens = 1024;
  bool add_eos = true;
};

// Ids and labels of one row, before its length is looked at:
//   prompt + completion  EncodePrompt(prompt), then the completion as a continuation and (add_eos)
//                        the end token; loss on the last two
//   messages             EncodeChat's ids; loss on every assistant turn and its end-of-turn token
//   text                 EncodePrompt(text) and (add_eos) the end token; loss on everything
//   tokens               as given; ids must be within the vocabulary
// With LossOn::kAll every token carries loss, except in tokens rows. `chat` may be null where no
// row is a conversation. Throws Error{kInput} naming the row.
Example EncodeRow(const Row& row, const Tokenizer& tokenizer, const ChatTemplate* chat,
                  const ExampleOptions& options);

// What the runner is fed for the row: its prompt, or the conversation up to the last assistant turn
// with a generation prompt, or the text itself. EncodeRow's ids begin with these.
std::vector<int32_t> EncodeRowPrompt(const Row& row, const Tokenizer& tokenizer,
                                     const ChatTemplate* chat);
// A completion after its prompt: a continuation, with the end token where asked.
std::vector<int32_t> EncodeCompletion(const Tokenizer& tokenizer, std::string_view completion,
                                      bool add_eos);

struct ExampleSet {
  std::vector<Example> examples;                  // in the rows' order
  int64_t rows = 0;                               // read
  int64_t dropped = 0, truncated = 0, split = 0;  // rows over max_tokens, by what became of them
  int64_t without_loss = 0;  // rows in which no token carries loss; kept only for tokens rows
  int64_t tokens = 0, loss_tokens = 0;
  std::vector<std::string> notes;  // the audit's findings and the counts above, one line each
};

// All rows, audited (data/audit.h). Throws Error{kInput} naming the row at fault, or when no row
// is left.
ExampleSet MakeExamples(const Rows& rows, const Tokenizer& tokenizer, const ChatTemplate* chat,
                        const ExampleOptions& options);

// The example as text, special tokens spelt out, what carries loss between ⟦ and ⟧.
std::string ShowExample(const Example& example, const Tokenizer& tokenizer);

}  // namespace retort
