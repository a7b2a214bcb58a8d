// SPDX-License-Identifier: Apache-2.0
// Learning-rate schedules. The curves are those of Hugging Face, except for the warm-up. Theirs has
// rate 0 in the first step, so that a run of one step with a warm-up of one step learns nothing.
// Ours starts above 0.
#pragma once

#include <cstdint>
#include <string>

namespace retort {

struct Schedule {
  enum class Kind { kCosine, kLinear, kConstant };
  Kind kind = Kind::kCosine;
  double peak = 2e-4;        // lr
  double least = 0;          // final rate of cosine and linear
  int64_t warmup_steps = 0;  // the rate rises linearly towards the peak
  int64_t total_steps = 1;

  // The rate of step 1, 2, ... With s = step - 1, w = warmup_steps, T = total_steps and
  // p = min(1, (s - w) / max(1, T - w)):
  //   s < w: peak (s + 1) / (w + 1);  constant: peak;  otherwise: least + (peak - least) share
  //   share: (1 + cos(pi p)) / 2 for cosine, 1 - p for linear.
  double RateOf(int64_t step) const;
};

Schedule::Kind ScheduleNamed(const std::string& name);

// `warmup` below 1 is a share of total_steps, rounded up; otherwise it is a number of steps.
int64_t WarmupSteps(double warmup, int64_t total_steps);

}  // namespace retort
