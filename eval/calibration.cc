// SPDX-License-Identifier: Apache-2.0
#include "eval/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <numbers>

#include "base/error.h"

namespace retort {
namespace {

constexpr size_t kBins = 15;

struct Bin {
  double count = 0, confidence = 0, right = 0;
};

}  // namespace

Calibration CalibrationAt(std::span<const JudgedChoice> choices, double temperature) {
  Calibration out;
  std::array<Bin, kBins> bins;
  for (const JudgedChoice& choice : choices) {
    const std::vector<double> shares = Calibrated(choice.log_probabilities, temperature);
    const auto best = std::ranges::max_element(shares);
    const bool right = static_cast<size_t>(best - shares.begin()) == choice.right;
    // The bins are ((i - 1) / 15, i / 15].
    const double place = std::ceil(*best * kBins) - 1;
    Bin& bin = bins[static_cast<size_t>(std::clamp<double>(place, 0, kBins - 1))];
    ++bin.count, bin.confidence += *best, bin.right += right;
    out.nll -= std::log(std::max(shares[choice.right], std::numeric_limits<double>::min()));
    out.right += right;
  }
  const auto count = static_cast<double>(choices.size());
  for (const Bin& bin : bins) out.ece += std::abs(bin.confidence - bin.right) / count;
  out.nll /= count, out.right /= count;
  return out;
}

// The NLL is convex in 1 / temperature, so it has one valley in log(temperature).
std::optional<double> FitTemperature(std::span<const JudgedChoice> choices) {
  if (CalibrationAt(choices, 1).right == 1) return std::nullopt;
  const auto loss = [&](double log_t) { return CalibrationAt(choices, std::exp(log_t)).nll; };
  constexpr double kShare = 1 / std::numbers::phi;
  const double least = std::log(0.01), most = std::log(100);
  double low = least, high = most;
  double a = high - kShare * (high - low), b = low + kShare * (high - low);
  double at_a = loss(a), at_b = loss(b);
  while (high - low > 1e-6) {
    if (at_a <= at_b) {
      high = b, b = a, at_b = at_a;
      a = high - kShare * (high - low), at_a = loss(a);
    } else {
      low = a, a = b, at_a = at_b;
      b = low + kShare * (high - low), at_b = loss(b);
    }
  }
  constexpr double kAtBound = 0.01;
  const double fitted = (low + high) / 2;
  if (fitted - least < kAtBound || most - fitted < kAtBound) return std::nullopt;
  return std::exp(fitted);
}

CalibrationTask MakeCalibrationTask(const std::vector<Answer>& answers, const GrammarSource& source,
                                    std::shared_ptr<const Grammar> grammar, int32_t end,
                                    const Tokenizer& tokenizer, const ChatTemplate* chat,
                                    int64_t max_tokens, OverLength over_length) {
  CalibrationTask task;
  const ChoiceRule rule(source, {std::move(grammar)}, end);
  for (const Answer& answer : answers) {
    if (!rule.constraint.grammar->Matches(answer.text))
      throw InputError(answer.where, ": the answer is not what the schema or the choices allow");
    std::vector<int32_t> ids = EncodeAnswer(answer, answer.text, tokenizer, chat, false);
    ids.erase(std::ranges::find(ids, end), ids.end());  // of a turn, with what stands behind it
    std::vector<ChoiceCase> cases;
    bool fits = true;
    for (const AnswerChoice& choice : ChoicesOf(rule, ids, tokenizer)) {
      std::vector<int32_t> prompt = answer.prompt;
      prompt.insert(prompt.end(), ids.begin(), ids.begin() + static_cast<int64_t>(choice.before));
      auto tree = std::make_shared<const LabelTree>(choice.values);
      const auto behind = static_cast<int64_t>(choice.before) + tree->depth() + 1;
      fits &= AnswerFits(answer, behind, max_tokens, over_length);
      cases.push_back({std::move(prompt), std::move(tree), static_cast<int32_t>(choice.place.said),
                       answer.where});
    }
    ++(fits ? task.rows : task.dropped);
    if (fits) std::ranges::move(cases, std::back_inserter(task.cases));
  }
  return task;
}

}  // namespace retort
