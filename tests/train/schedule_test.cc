// SPDX-License-Identifier: Apache-2.0
#include "train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace retort {
namespace {

TEST(Schedule, WarmsUpFromAboveZeroAndFollowsTheCosine) {
  const Schedule s{Schedule::Kind::kCosine, 1.0, 0.0, 4, 0, 20};
  EXPECT_EQ(s.RateOf(1), 0.2);
  EXPECT_EQ(s.RateOf(3), 0.6);
  EXPECT_EQ(s.RateOf(5), 1);
  EXPECT_NEAR(s.RateOf(13), 0.5, 1e-12);  // half way between steps 4 and 20
  EXPECT_NEAR(s.RateOf(20), 0.5 * (1 + std::cos(M_PI * 15 / 16)), 1e-12);
}

TEST(Schedule, LinearEndsAtTheLeastAndConstantStays) {
  const Schedule linear{Schedule::Kind::kLinear, 1.0, 0.2, 0, 0, 10};
  EXPECT_EQ(linear.RateOf(1), 1);
  EXPECT_NEAR(linear.RateOf(6), 0.6, 1e-12);
  EXPECT_NEAR(linear.RateOf(11), 0.2, 1e-12);
  const Schedule constant{Schedule::Kind::kConstant, 0.5, 0.0, 2, 0, 10};
  EXPECT_NEAR(constant.RateOf(2), 1.0 / 3, 1e-12);
  EXPECT_EQ(constant.RateOf(10), 0.5);
}

// transformers' get_wsd_schedule(warmup 2, stable 4, decay 4, cosine, min_lr_ratio 0.1), but for
// the warm-up.
TEST(Schedule, WarmupStableDecayFallsInItsLastSteps) {
  const Schedule s{Schedule::Kind::kWarmupStableDecay, 1.0, 0.1, 2, 4, 10};
  for (const int64_t step : {3, 4, 5, 6, 7}) EXPECT_EQ(s.RateOf(step), 1) << step;
  EXPECT_NEAR(s.RateOf(8), 0.1 + 0.9 * 0.8535533906, 1e-9);
  EXPECT_NEAR(s.RateOf(9), 0.1 + 0.9 * 0.5, 1e-9);
  EXPECT_NEAR(s.RateOf(10), 0.1 + 0.9 * 0.1464466094, 1e-9);
}

// transformers' get_inverse_sqrt_schedule.
TEST(Schedule, InverseSquareRoot) {
  const Schedule warm{Schedule::Kind::kInverseSqrt, 1.0, 0.0, 4, 0, 100};
  EXPECT_EQ(warm.RateOf(5), 1);
  EXPECT_NEAR(warm.RateOf(17), 0.5, 1e-12);  // sqrt(4 / 16)
  const Schedule cold{Schedule::Kind::kInverseSqrt, 1.0, 0.0, 0, 0, 100};
  EXPECT_NEAR(cold.RateOf(30001), 0.5, 1e-12);
}

// A run of one step, or one that is all warm-up, must still learn.
TEST(Schedule, NoStepHasRateZero) {
  for (const std::string& name : ScheduleNames()) {
    const Schedule::Kind kind = ScheduleNamed(name);
    for (const int64_t steps : {1, 2, 7, 60}) {
      for (const int64_t warmup :
           {int64_t{0}, int64_t{1}, StepsOf(0.03, steps), steps, 2 * steps}) {
        const Schedule s{kind, 1.0, 0.0, warmup, steps / 2, steps};
        for (int64_t step = 1; step <= steps; ++step)
          EXPECT_GT(s.RateOf(step), 0)
              << name << ", " << step << " of " << steps << ", warm-up " << warmup;
      }
    }
  }
}

TEST(Schedule, WarmupIsAShareRoundedUpOrSteps) {
  EXPECT_EQ(StepsOf(0.03, 100), 3);
  EXPECT_EQ(StepsOf(0.03, 101), 4);
  EXPECT_EQ(StepsOf(0, 100), 0);
  EXPECT_EQ(StepsOf(7, 100), 7);
}

TEST(Schedule, NamesAreChecked) {
  EXPECT_EQ(ScheduleNamed("linear"), Schedule::Kind::kLinear);
  EXPECT_THROW(ScheduleNamed("step"), Error);
}

}  // namespace
}  // namespace retort
