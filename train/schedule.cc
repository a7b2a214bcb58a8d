// SPDX-License-Identifier: Apache-2.0
#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace retort {

double Schedule::RateOf(int64_t step) const {
  const int64_t s = step - 1;
  if (s < warmup_steps)
    return peak * static_cast<double>(s + 1) / static_cast<double>(warmup_steps + 1);
  const double progress =
      std::min(1.0, static_cast<double>(s - warmup_steps) /
                        static_cast<double>(std::max<int64_t>(1, total_steps - warmup_steps)));
  double share = 1;
  if (kind == Kind::kCosine) share = (1 + std::cos(std::numbers::pi * progress)) / 2;
  if (kind == Kind::kLinear) share = 1 - progress;
  return kind == Kind::kConstant ? peak : least + (peak - least) * share;
}

Schedule::Kind ScheduleNamed(const std::string& name) {
  if (name == "cosine") return Schedule::Kind::kCosine;
  if (name == "linear") return Schedule::Kind::kLinear;
  if (name == "constant") return Schedule::Kind::kConstant;
  throw InputError("train.schedule '", name, "' is not known; use cosine, linear or constant");
}

int64_t WarmupSteps(double warmup, int64_t total_steps) {
  if (warmup >= 1) return static_cast<int64_t>(warmup);
  return static_cast<int64_t>(std::ceil(static_cast<double>(total_steps) * warmup));
}

}  // namespace retort
