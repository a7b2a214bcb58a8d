// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/selection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;

Ids Tokens(const GenerationRequest& request) {
  Ids tokens;
  for (const WantedScore& score : request.scores) tokens.push_back(score.token);
  return tokens;
}

TEST(SelectionTest, SingleTokensAreOneStream) {
  const Selection selection(2, {{5}, {6}, {7}});
  ASSERT_EQ(selection.streams(), 1u);
  const GenerationRequest request = selection.Request(0, {1, 2});
  EXPECT_EQ(request.prompt, (Ids{1, 2}));
  EXPECT_EQ(Tokens(request), (Ids{5, 6, 7}));
  for (const WantedScore& score : request.scores) EXPECT_EQ(score.position, 1);
}

TEST(SelectionTest, EveryTokenIsScoredOnce) {
  Selection selection(1, {{5, 6, 7}, {5, 6, 8}, {5, 9}, {4, 3}});
  size_t scored = 0;
  for (size_t i = 0; i < selection.streams(); ++i) {
    const GenerationRequest request = selection.Request(i, {1});
    std::vector<double> scores;
    for (const WantedScore& score : request.scores) {
      EXPECT_LT(score.position, std::ssize(request.prompt));
      scores.push_back(-score.token);
    }
    EXPECT_TRUE(std::ranges::is_sorted(request.scores, {}, &WantedScore::position));
    scored += scores.size();
    selection.Take(i, scores);
  }
  EXPECT_EQ(selection.streams(), 2u) << "5 6, and 4";
  EXPECT_EQ(scored, 7u) << "5, 6, 7, 8, 9, 4, 3";
  EXPECT_EQ(selection.LogProbabilities(), (std::vector<double>{-18, -19, -14, -7}));
}

// The frequencies of a rope may depend on how long a request may grow.
TEST(SelectionTest, AllStreamsMayGrowToOneLength) {
  const Selection selection(1, {{5, 6, 7}, {4, 3}});
  ASSERT_EQ(selection.streams(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    const GenerationRequest request = selection.Request(i, {1});
    EXPECT_EQ(std::ssize(request.prompt) + request.sampling.max_tokens, 3) << i;
  }
}

TEST(SelectionTest, WhatIsNoNumberIsRefused) {
  Selection selection(1, {{5}, {6}});
  const double scores[] = {-1, std::numeric_limits<double>::quiet_NaN()};
  EXPECT_THROW(selection.Take(0, scores), Error);
}

}  // namespace
}  // namespace retort
