// SPDX-License-Identifier: Apache-2.0
// Learning-rate schedules. The curves are those of Hugging Face, except for the warm-up. Theirs has
// rate 0 in the first step, so that a run of one step with a warm-up of one step learns nothing.
// Ours starts above 0.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace retort {

struct Schedule {
  enum class Kind : uint8_t { kCosine, kLinear, kConstant, kWarmupStableDecay, kInverseSqrt };
  Kind kind = Kind::kCosine;
  double peak = 2e-4;        // lr
  double least = 0;          // final rate of those that fall to an end
  int64_t warmup_steps = 0;  // the rate rises linearly towards the peak
  int64_t decay_steps = 0;   // warmup-stable-decay: the last steps, in which the rate falls
  int64_t total_steps = 1;

  // The rate of step 1, 2, ... With s = step - 1, w = warmup_steps, T = total_steps:
  //   s < w: peak (s + 1) / (w + 1);  constant: peak;  otherwise: least + (peak - least) share
  //   cosine: (1 + cos(pi p)) / 2, linear: 1 - p, with p = min(1, (s - w) / max(1, T - w))
  //   warmup-stable-decay: the cosine's share with p = (s - (T - D)) / D in the last D =
  //   decay_steps, 1 before them
  //   inverse square root: sqrt(k / (k + s - w)) with k = w, or 10,000 without a warm-up; it has
  //   no end, so `least` is not used
  double RateOf(int64_t step) const;
};

// "cosine", "linear", "constant", "wsd", "inverse_sqrt"
const std::vector<std::string>& ScheduleNames();
Schedule::Kind ScheduleNamed(const std::string& name);

// `count` below 1 is a share of total_steps, rounded up; otherwise it is a number of steps.
int64_t StepsOf(double count, int64_t total_steps);

}  // namespace retort
