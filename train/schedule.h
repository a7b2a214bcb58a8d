// SPDX-License-Identifier: Apache-2.0
// Learning rates over a run, as Hugging Face's Trainer has them.
#pragma once

#include <cstdint>
#include <string>

namespace retort {

struct Schedule {
  enum class Kind { kCosine, kLinear, kConstant };
  Kind kind = Kind::kCosine;
  double peak = 2e-4;        // lr
  double least = 0;          // cosine and linear end here
  int64_t warmup_steps = 0;  // rising linearly from 0
  int64_t total_steps = 1;

  // Of step 1, 2, ...: with s = step - 1, w = warmup_steps, T = total_steps, p = (s - w) / max(1, T - w):
  //   s < w: peak s / max(1, w);  cosine: (1 + cos(pi p)) / 2;  linear: 1 - p;  constant: 1
  // the last two scaled between least and peak.
  double RateOf(int64_t step) const;
};

Schedule::Kind ScheduleNamed(const std::string& name);

// Below 1 a share of the steps, rounded up; else steps.
int64_t WarmupSteps(double warmup, int64_t total_steps);

}  // namespace retort
