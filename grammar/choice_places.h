// SPDX-License-Identifier: Apache-2.0
// The places of an answer at which its grammar left a choice among few values: enums, booleans,
// small ranges, alternatives of null, a list of choices.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/grammar.h"

namespace retort {

struct ChoicePlace {
  std::string pointer;        // a JSON Pointer; "" for the whole answer
  size_t begin = 0, end = 0;  // of the value, within the answer
  // All texts that may stand there behind what the answer says before, and which of them does.
  std::vector<std::string> values = {};
  size_t said = 0;
};

// What an answer's text is: one whole value, or JSON, whose scalars are values.
enum class AnswerForm { kText, kJson };

// Places of one value, which is no choice, and of more than kMostChoiceValues are left out. So are
// all behind those that have kMostAnswerValues together, or whose values have some
// kMostAnswerValueBytes in which they differ: finding values, and weighing them, takes time.
inline constexpr size_t kMostChoiceValues = 1024;
inline constexpr size_t kMostAnswerValues = 4096;
inline constexpr size_t kMostAnswerValueBytes = 100'000;
// `answer` is a whole text of the grammar, which the matcher is at the beginning of. Throws what
// Matcher throws.
std::vector<ChoicePlace> ChoicePlaces(const Matcher& start, std::string_view answer,
                                      AnswerForm form);

}  // namespace retort
