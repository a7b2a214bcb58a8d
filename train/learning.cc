// SPDX-License-Identifier: Apache-2.0
#include "train/learning.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/strings.h"
#include "train/plot.h"

namespace retort {
namespace {

// Mean tokens per answer up to which the probability of a whole answer is meaningful.
constexpr int64_t kShortAnswer = 24;
constexpr double kLeastGain = 0.25;   // share of the first loss
constexpr double kLeastLikely = 0.5;  // share of the rows

// A loss has risen when it is above kRisen times the first one plus kMargin.
constexpr double kRisen = 1.5, kMargin = 0.5;
constexpr double kNearChance = 0.97;  // of ln V: a model that guesses
constexpr double kBelowChance = 0.9;  // of ln V: a model that knows something
constexpr double kSmallLoss = 0.05;   // of ln V
constexpr double kPeakOverChance = 1.1;
constexpr size_t kLevelSteps = 10;  // a level is the mean of a tenth of the steps, at most of these

double Mean(const double* begin, size_t count) {
  return std::accumulate(begin, begin + count, 0.0) / static_cast<double>(count);
}

double Median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::ranges::nth_element(values, middle);
  return *middle;
}

}  // namespace

std::vector<std::string> LearningNotes(double first_loss, const Evaluation& now, bool held_out) {
  std::vector<std::string> notes;
  const char* rows = held_out ? "held-out" : "training";
  const bool short_answers = now.loss_tokens <= now.rows * kShortAnswer;
  const double likely = static_cast<double>(now.likely) / static_cast<double>(now.rows);
  if (short_answers) {
    notes.push_back(
        Cat("of ", now.rows, " ", rows, " rows, ", std::lround(100 * likely),
            " % have an answer that the model now gives with a probability above one half"));
  }
  const bool little_gain = !(now.loss < (1 - kLeastGain) * first_loss);
  if (little_gain || (short_answers && likely < kLeastLikely)) {
    notes.push_back(Cat("little was learnt: loss ", ShortNumber(now.loss), " on ", rows, " rows, ",
                        ShortNumber(first_loss),
                        " at the first step; try more train.epochs, a higher train.lr, a smaller "
                        "train.batch_tokens, or look at the rows"));
  }
  return notes;
}

std::optional<std::string> NoGainNote(double before, double lowest) {
  if (lowest < before) return std::nullopt;
  return Cat(
      "nothing was learnt that held-out rows show: their lowest loss is ", ShortNumber(lowest),
      ", and ", ShortNumber(before),
      " before the first step; try another train.lr, more train.epochs, or look at the rows");
}

std::optional<double> SpikeWatch::Add(double loss) {
  constexpr size_t kFewest = 20, kMost = 50;
  constexpr double kTimes = 2, kMore = 0.5, kOverHighest = 1.5;
  if (before_.size() >= kFewest) {
    const double level = Median(before_), highest = *std::ranges::max_element(before_);
    if (loss > kTimes * level + kMore && loss > kOverHighest * highest) return level;
  }
  if (before_.size() == kMost) before_.erase(before_.begin());
  before_.push_back(loss);
  return std::nullopt;
}

void LossWatch::Add(const StepMetrics& m) {
  losses_.push_back(m.loss);
  peak_ = std::max(peak_, m.loss);
  if (m.loss_tokens > 0) last_norm_ = m.grad_norm;
  cross_entropy_ = cross_entropy_ && m.kd == 0 && m.hidden == 0;
  fixed_rows_ = fixed_rows_ && m.generated_tokens == 0;
}

std::optional<std::string> LossWatch::Divergence(double chance) const {
  if (losses_.size() < 2 || !fixed_rows_) return std::nullopt;
  const size_t window = std::clamp<size_t>(losses_.size() / 10, 1, kLevelSteps);
  const double start = Mean(losses_.data(), window),
               end = Mean(losses_.data() + losses_.size() - window, window);
  if (end > kRisen * start + kMargin)
    return Cat("the loss rose from ", ShortNumber(start), " to ", ShortNumber(end));
  if (last_norm_ == 0 && end > kSmallLoss * chance)
    return Cat("the gradient is 0 at a loss of ", ShortNumber(end),
               ", so no step can change anything any more");
  const bool guesses = cross_entropy_ && end >= kNearChance * chance;
  if (guesses &&
      (start < kBelowChance * chance || peak_ > kPeakOverChance * std::max(start, chance)))
    return Cat("the loss is ", ShortNumber(end), ", no better than guessing among all tokens (",
               ShortNumber(chance), ")");
  return std::nullopt;
}

}  // namespace retort
