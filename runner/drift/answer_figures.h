// SPDX-License-Identifier: Apache-2.0
// What the watch for drift keeps of an answer: a few numbers, and none of its text.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runner/api/answer.h"

namespace retort {

struct DriftStatistic {
  const char* name;
  bool share;  // each answer's figure is 0 or 1
  // A standard deviation that differences are measured by at least, since answers that all have the
  // same figure have none.
  double least_deviation;
};

// In the order of an answer's figures.
inline constexpr std::array<DriftStatistic, 6> kDriftStatistics = {{
    {"answer_tokens", false, 0.5},
    {"cut", true, 0},      // by max_tokens, or by the context's end
    {"refused", true, 0},  // the answer begins with one of the phrases
    {"logprob", false, 0.01},
    {"schema_valid", true, 0},  // of the answers that are held to a grammar: it was complete
    {"json", true, 0},          // the answer is a JSON object or array
}};

// NaN: the answer says nothing of it.
using AnswerFigures = std::array<float, kDriftStatistics.size()>;

// How refusals of models that were tuned on English begin.
const std::vector<std::string>& UsualRefusals();

// As phrases and answers are compared: in lower case, and with one kind of apostrophe.
std::string Folded(std::string_view text);

// Whether one of the phrases, which are folded, stands in the first 200 bytes of the text.
bool IsRefusal(std::string_view text, std::span<const std::string> phrases);

// Nullopt for what is no answer: an embedding, scored choices, an echo alone.
std::optional<AnswerFigures> FiguresOf(const ApiChoice& choice,
                                       std::span<const std::string> refusals);

}  // namespace retort
