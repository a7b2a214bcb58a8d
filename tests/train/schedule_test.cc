// SPDX-License-Identifier: Apache-2.0
#include "train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace retort {
namespace {

TEST(Schedule, WarmsUpFromZeroAndFollowsTheCosine) {
  const Schedule s{Schedule::Kind::kCosine, 1.0, 0.0, 4, 20};
  EXPECT_EQ(s.RateOf(1), 0);
  EXPECT_EQ(s.RateOf(3), 0.5);
  EXPECT_EQ(s.RateOf(5), 1);
  EXPECT_NEAR(s.RateOf(13), 0.5, 1e-12);  // half way between steps 4 and 20
  EXPECT_NEAR(s.RateOf(20), 0.5 * (1 + std::cos(M_PI * 15 / 16)), 1e-12);
}

TEST(Schedule, LinearEndsAtTheLeastAndConstantStays) {
  const Schedule linear{Schedule::Kind::kLinear, 1.0, 0.2, 0, 10};
  EXPECT_EQ(linear.RateOf(1), 1);
  EXPECT_NEAR(linear.RateOf(6), 0.6, 1e-12);
  EXPECT_NEAR(linear.RateOf(11), 0.2, 1e-12);
  const Schedule constant{Schedule::Kind::kConstant, 0.5, 0.0, 2, 10};
  EXPECT_EQ(constant.RateOf(2), 0.25);
  EXPECT_EQ(constant.RateOf(10), 0.5);
}

TEST(Schedule, WarmupIsAShareRoundedUpOrSteps) {
  EXPECT_EQ(WarmupSteps(0.03, 100), 3);
  EXPECT_EQ(WarmupSteps(0.03, 101), 4);
  EXPECT_EQ(WarmupSteps(0, 100), 0);
  EXPECT_EQ(WarmupSteps(7, 100), 7);
}

TEST(Schedule, NamesAreChecked) {
  EXPECT_EQ(ScheduleNamed("linear"), Schedule::Kind::kLinear);
  EXPECT_THROW(ScheduleNamed("step"), Error);
}

}  // namespace
}  // namespace retort
