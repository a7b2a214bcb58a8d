// SPDX-License-Identifier: Apache-2.0
// Whether the probabilities of an answer's choices (runner/engine/field_probabilities.h) can be
// trusted, and the temperature that makes them so.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "eval/answers.h"
#include "eval/choice.h"
#include "runner/engine/field_probabilities.h"

namespace retort {

// A choice whose right value is known: the values' log-probabilities, and which of them is right.
struct JudgedChoice {
  std::vector<double> log_probabilities;
  size_t right = 0;
};

struct Calibration {
  double nll = 0;    // mean over the choices of -log(probability of the right value)
  double ece = 0;    // expected calibration error (Guo et al. 2017, arXiv 1706.04599), 15 bins
  double right = 0;  // the share of choices whose likeliest value is right
};
// Requires a choice.
Calibration CalibrationAt(std::span<const JudgedChoice> choices, double temperature);
// Fewer choices than these say little of other rows.
inline constexpr size_t kFewChoices = 30;
// The temperature with the least NLL, between 1/100 and 100. Nothing if that is at a bound, or
// every likeliest value is right: each temperature beyond is better then, and says nothing of other
// rows. Requires a choice.
std::optional<double> FitTemperature(std::span<const JudgedChoice> choices);

struct CalibrationTask {
  std::vector<ChoiceCase> cases;  // one for each choice of each row's answer
  int64_t rows = 0, dropped = 0;
};
// Each choice stands behind what the row's own answer says before it. Throws Error{kInput} naming a
// row whose answer is not one of the grammar's.
CalibrationTask MakeCalibrationTask(const std::vector<Answer>& answers, const GrammarSource& source,
                                    std::shared_ptr<const Grammar> grammar, int32_t end,
                                    const Tokenizer& tokenizer, const ChatTemplate* chat,
                                    int64_t max_tokens, OverLength over_length);

}  // namespace retort
