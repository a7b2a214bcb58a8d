// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "train/run.h"

namespace retort {
namespace {

bool Warns(const std::vector<std::string>& notes) {
  for (const std::string& note : notes) {
    if (note.starts_with("little was learnt")) return true;
  }
  return false;
}

TEST(LearningNotes, AGoodRunOfShortAnswersTellsHowManyAreLikely) {
  const auto notes = LearningNotes(4.0, {0.05, 1000, 910, 6000}, true);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_TRUE(notes[0].starts_with("of 1000 held-out rows, 91 % have an answer"));
}

TEST(LearningNotes, ALossThatFellIsNotEnoughWhereAnswersStayUnlikely) {
  EXPECT_TRUE(Warns(LearningNotes(4.0, {0.9, 1000, 70, 6000}, true)));
}

TEST(LearningNotes, LongAnswersAreJudgedByTheirLossAlone) {
  EXPECT_TRUE(LearningNotes(3.0, {2.0, 100, 0, 100 * 200}, false).empty());
  EXPECT_TRUE(Warns(LearningNotes(3.0, {2.9, 100, 0, 100 * 200}, false)));
}

TEST(LearningNotes, ALossThatIsNoNumberWarns) {
  EXPECT_TRUE(Warns(LearningNotes(3.0, {std::nan(""), 100, 0, 100 * 200}, false)));
}

}  // namespace
}  // namespace retort
