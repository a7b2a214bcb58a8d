// SPDX-License-Identifier: Apache-2.0
// Tokens per second and seconds per step, averaged over the last steps.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>

#include "train/trainer.h"

namespace retort {

class Speed {
 public:
  void Add(const StepMetrics& m) {
    last_.push_back({m.tokens, m.seconds});
    if (last_.size() > kSteps) last_.pop_front();
  }
  double tokens_per_second() const {
    const auto [tokens, seconds] = Sums();
    return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
  }
  double seconds_per_step() const {
    return last_.empty() ? 0 : Sums().second / static_cast<double>(last_.size());
  }

 private:
  static constexpr size_t kSteps = 20;
  std::pair<int64_t, double> Sums() const {
    std::pair<int64_t, double> sums{0, 0};
    for (const auto& [tokens, seconds] : last_) sums = {sums.first + tokens, sums.second + seconds};
    return sums;
  }
  std::deque<std::pair<int64_t, double>> last_;
};

}  // namespace retort
