// SPDX-License-Identifier: Apache-2.0
// Learning rates over a run: Hugging Face's curves, but for the warm-up, which begins above 0 so
// that no step is lost (theirs has rate 0 at the first one: with a warm-up of one step, of a run of
// one step, nothing is learnt).
#pragma once

#include <cstdint>
#include <string>

namespace retort {

struct Schedule {
  enum class Kind { kCosine, kLinear, kConstant };
  Kind kind = Kind::kCosine;
  double peak = 2e-4;        // lr
  double least = 0;          // cosine and linear end here
  int64_t warmup_steps = 0;  // rising linearly towards the peak
  int64_t total_steps = 1;

  // Of step 1, 2, ...: with s = step - 1, w = warmup_steps, T = total_steps, p = (s - w) / max(1, T
  // - w):
  //   s < w: peak (s + 1) / (w + 1);  cosine: (1 + cos(pi p)) / 2;  linear: 1 - p;  constant: 1
  // the last two scaled between least and peak.
  double RateOf(int64_t step) const;
};

Schedule::Kind ScheduleNamed(const std::string& name);

// Below 1 a share of the steps, rounded up; else steps.
int64_t WarmupSteps(double warmup, int64_t total_steps);

}  // namespace retort
