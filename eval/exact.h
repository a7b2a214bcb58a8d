// SPDX-License-Identifier: Apache-2.0
// Exact match: compares greedy generation with the row's answer, both without leading and trailing
// white space.
#pragma once

#include <functional>

#include "eval/questions.h"

namespace retort {

struct ExactResult {
  int64_t matches = 0, rows = 0, dropped = 0;
  int64_t tokens = 0;         // generated
  std::vector<bool> matched;  // for the rows that were not dropped, in order
  std::vector<size_t> kept;   // of these rows: the index of its answer
  double share() const {
    return rows > 0 ? static_cast<double>(matches) / static_cast<double>(rows) : 0;
  }
};

// Stops a generation as soon as it can no longer match. Calls `on_progress` with the number of rows
// done. adapter and chat may be null.
ExactResult EvaluateExact(const Model& model, const Adapter* adapter, const Tokenizer& tokenizer,
                          const ChatTemplate* chat, const std::vector<Answer>& answers,
                          const QuestionOptions& options,
                          const std::function<void(int64_t done)>& on_progress = {});

}  // namespace retort
