// SPDX-License-Identifier: Apache-2.0
// Answers of a model to the prompts of rows, as rows of their own: what sequence-level distillation
// trains on.
#pragma once

#include <functional>

#include "data/rows.h"
#include "runner/engine.h"

namespace retort {

struct GenerateOptions {
  int64_t max_new_tokens = 128;
  double temperature = 0;  // 0: greedy
  uint64_t seed = 1;       // of the sampling, with the row's number
  int64_t parallel = 16;
  DType cache_type = DType::kF32;
};

struct GeneratedAnswers {
  int64_t kept = 0;    // lines that were there already
  int64_t tokens = 0;  // generated now
  int64_t cut = 0;     // answers that max_new_tokens ended
};

// Throws Error{kInput} naming the first row that asks for nothing.
void CheckPrompts(const Rows& rows);

// Appends a line to `out` for each row, in order: {"prompt", "completion"}, or {"messages"} whose
// last turn is the answer. A line is written as soon as all before it are, so an interrupted call
// loses the answers under way and the next one goes on; a half line at the end is cut off. Throws
// Error{kInput} naming a line that belongs to another prompt, a row that has none, and the process
// that is writing the same file. adapter and chat may be null.
GeneratedAnswers GenerateAnswers(const Model& model, const Adapter* adapter,
                                 const Tokenizer& tokenizer, const ChatTemplate* chat,
                                 const Rows& rows, const Path& out, const GenerateOptions& options,
                                 const std::function<void(int64_t rows_done)>& on_progress);

}  // namespace retort
