// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/pace.h"

#include <algorithm>

namespace retort {
namespace {

constexpr double kShare = 0.75;   // of a plain step's time, for prompts: below one, for the noise
constexpr double kWeight = 0.25;  // of a new measurement in the running mean

void Add(double& mean, double value) { mean = mean == 0 ? value : mean + kWeight * (value - mean); }

}  // namespace

int64_t Pace::Tokens(int64_t generating) {
  if (generating == 0) return kMost;
  if (plain_ == 0 || ++since_plain_ >= kMeasured) return 0;
  if (per_token_ == 0) return kLeast;
  return std::clamp(static_cast<int64_t>(std::min(kShare * plain_ / per_token_, 1e6)), kLeast,
                    kMost);
}

void Pace::Observe(int64_t generating, int64_t prompt_tokens, double seconds) {
  if (generating == 0) return;
  if (prompt_tokens == 0) {
    since_plain_ = 0;
    Add(plain_, std::max(seconds, 1e-9));
  } else if (plain_ > 0) {
    Add(per_token_, std::max(seconds - plain_, 1e-9) / static_cast<double>(prompt_tokens));
  }
}

}  // namespace retort
