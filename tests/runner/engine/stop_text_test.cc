// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/stop_text.h"

#include <gtest/gtest.h>

namespace retort {
namespace {

// What is shown after each piece, and at the end.
std::vector<std::string> Shown(std::vector<std::string> stops,
                               const std::vector<std::string>& pieces, bool* found) {
  StopText stop(std::move(stops));
  std::vector<std::string> out;
  for (const std::string& piece : pieces) out.push_back(stop.Push(piece));
  out.push_back(stop.Flush());
  *found = stop.found();
  return out;
}

using Texts = std::vector<std::string>;

TEST(StopText, ShowsEverythingWithoutStops) {
  bool found;
  EXPECT_EQ(Shown({}, {"a", "bc"}, &found), (Texts{"a", "bc", ""}));
  EXPECT_FALSE(found);
}

TEST(StopText, HoldsBackOnlyWhatMayBecomeOne) {
  bool found;
  EXPECT_EQ(Shown({"\n\nQ:"}, {"one\n", "two", "\n\n", "Q", "!"}, &found),
            (Texts{"one", "\ntwo", "", "", "\n\nQ!", ""}));
  EXPECT_FALSE(found);
}

TEST(StopText, FindsOneThatIsSplitOverPieces) {
  bool found;
  EXPECT_EQ(Shown({"END"}, {"xE", "N", "Dy", "z"}, &found), (Texts{"x", "", "", "", ""}));
  EXPECT_TRUE(found);
}

TEST(StopText, StartsAgainWithinAFailedBeginning) {
  bool found;
  EXPECT_EQ(Shown({"aab"}, {"a", "a", "a", "b"}, &found), (Texts{"", "", "a", "", ""}));
  EXPECT_TRUE(found);
  EXPECT_EQ(Shown({"abab!"}, {"ab", "ab", "ab", "!"}, &found), (Texts{"", "", "ab", "", ""}));
  EXPECT_TRUE(found);
}

TEST(StopText, TakesTheFirstOfSeveral) {
  bool found;
  EXPECT_EQ(Shown({"later", "x"}, {"a later x"}, &found), (Texts{"a ", ""}));
  EXPECT_EQ(Shown({"x", "later"}, {"a later x"}, &found), (Texts{"a ", ""}));
  EXPECT_EQ(Shown({"abcd", "bc"}, {"ab", "c"}, &found), (Texts{"", "a", ""}));
  EXPECT_TRUE(found);
}

TEST(StopText, GivesBackAtTheEndWhatWasHeld) {
  bool found;
  EXPECT_EQ(Shown({"END"}, {"the EN"}, &found), (Texts{"the ", "EN"}));
  EXPECT_FALSE(found);
}

}  // namespace
}  // namespace retort
