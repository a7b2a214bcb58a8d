// SPDX-License-Identifier: Apache-2.0
// Groups of codes with a zero, where 0 is far from the values.
#include "tensor/quant/group_integers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "tensor/quant/quant.h"

namespace retort {
namespace {

constexpr int64_t kGroup = 32, kGroups = 2, kInputs = kGroup * kGroups;

// The largest error of a row whose values are given by `value`, rounded by itself.
float LargestError(const std::function<float(int64_t)>& value) {
  std::vector<float> row(kInputs), none(kInputs * kInputs), got(kInputs);
  for (int64_t i = 0; i < kInputs; ++i) row[static_cast<size_t>(i)] = value(i);
  ThreadPool pool(1);
  const FeedbackFactor factor(none, kInputs, 0, pool);
  const Weight source(WeightFormat::kF32, 1, kInputs, std::as_bytes(std::span(row)), nullptr);
  const auto memory = MakeHostMemory();
  const GroupIntegers made = RoundedToGroups(source, {4, kGroup, false}, factor, pool);
  DecodeRow(ValuesOf(made, *memory), 0, 0, kInputs, got.data());
  float most = 0;
  for (size_t i = 0; i < row.size(); ++i) most = std::max(most, std::abs(row[i] - got[i]));
  return most;
}

TEST(GroupIntegers, HoldGroupsOfOneSign) {
  // A step of a grid from 0 to the largest magnitude, 1.
  constexpr float kStep = 1.0f / 15;
  for (const float sign : {1.0f, -1.0f}) {
    SCOPED_TRACE(sign);
    const auto falling = [&](int64_t i) {
      return sign * (1 - 0.5f * static_cast<float>(i % kGroup) / kGroup);
    };
    EXPECT_LT(LargestError(falling), 0.7f * kStep);
    EXPECT_LT(LargestError([&](int64_t) { return sign; }), 1e-3f);
    // Nearly constant, so that a grid between the values would not reach 0.
    EXPECT_LT(LargestError([&](int64_t i) { return sign * (i % 2 == 0 ? 1.0f : 0.99f); }), 0.02f);
    EXPECT_LT(LargestError([&](int64_t i) { return i < kGroup ? sign : 0; }), 1e-3f);
  }
}

}  // namespace
}  // namespace retort
