// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/draft/ngram_drafter.h"

#include <gtest/gtest.h>

#include <string>

namespace retort {
namespace {

// What is guessed behind a text whose letters are its tokens.
std::string Guessed(const std::string& text, int64_t most) {
  const std::vector<int32_t> tokens(text.begin(), text.end());
  std::vector<DraftRequest> requests(1);
  requests[0].tokens = tokens;
  requests[0].most = most;
  NgramDrafter().Propose(requests);
  return {requests[0].ids.begin(), requests[0].ids.end()};
}

TEST(NgramDrafter, GuessesWhatFollowedBefore) {
  EXPECT_EQ(Guessed("the cat sat. the c", 6), "at sat");
  EXPECT_EQ(Guessed("the cat sat. the c", 1), "a");
}

TEST(NgramDrafter, PrefersTheLongestMatchThenTheLatest) {
  EXPECT_EQ(Guessed("xabc1 yabc2 zbc3 yabc", 1), "2");
  EXPECT_EQ(Guessed("xabc1 abc2 bc3 wabc", 1), "2");
  // Beyond kMost tokens all are as good: the latest is taken.
  EXPECT_EQ(Guessed("0123456789A 23456789B 0123456789", 1), "B");
}

TEST(NgramDrafter, GoesOnInAPeriod) {
  EXPECT_EQ(Guessed("-abcabc", 8), "abcabcab");
  EXPECT_EQ(Guessed("-aaa", 4), "aaaa");
}

TEST(NgramDrafter, GuessesNothingBehindWhatIsNew) {
  EXPECT_EQ(Guessed("abcdef", 4), "");
  EXPECT_EQ(Guessed("ab_b", 4), "") << "one token is too little";
  EXPECT_EQ(Guessed("a", 4), "");
}

}  // namespace
}  // namespace retort
