// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/draft/draft_length.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace retort {
namespace {

TEST(DraftLength, GrowsWhereGuessesComeTrue) {
  DraftLength length;
  EXPECT_EQ(length.Next(), DraftLength::kFirst);
  for (int64_t drafted = DraftLength::kFirst; drafted < 12; ++drafted) {
    length.Observe(drafted, drafted);
    EXPECT_EQ(length.Next(), drafted + 1);
  }
  length.Observe(12, 5);
  EXPECT_EQ(length.Next(), 6);
  length.Observe(0, 0);  // nothing was guessed, which says nothing
  EXPECT_EQ(length.Next(), 6);
  length.Observe(2, 2);  // there was no room for more
  EXPECT_EQ(length.Next(), 6);
}

TEST(DraftLength, PausesLongerAndLongerWhereNoneDoes) {
  DraftLength length;
  length.Observe(4, 0);
  EXPECT_EQ(length.Next(), 2);
  length.Observe(2, 0);
  int64_t expected = DraftLength::kShortestPause;
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(length.Next(), 1);
    length.Observe(1, 0);
    for (int64_t step = 0; step < expected; ++step) EXPECT_EQ(length.Next(), 0) << i << step;
    expected = std::min(2 * expected, DraftLength::kLongestPause);
  }
  length.Observe(1, 1);
  EXPECT_EQ(length.Next(), 2);
  length.Observe(1, 0);
  for (int64_t step = 0; step < DraftLength::kShortestPause; ++step) EXPECT_EQ(length.Next(), 0);
  EXPECT_EQ(length.Next(), 1);
}

}  // namespace
}  // namespace retort
