// SPDX-License-Identifier: Apache-2.0
#include "base/strings.h"

#include <gtest/gtest.h>

namespace retort {
namespace {

TEST(Cat, JoinsTextAndNumbers) {
  EXPECT_EQ(Cat("a", 1, ' ', 2.5, std::string("z"), true, -3, uint64_t{18446744073709551615u}),
            "a1 2.5ztrue-318446744073709551615");
}

TEST(Nearest, FindsASlipAndRefusesAStranger) {
  const std::vector<std::string> known = {"optim", "train", "schedule"};
  EXPECT_EQ(Nearest("optm", known), "optim");
  EXPECT_EQ(Nearest("shedule", known), "schedule");
  EXPECT_EQ(Nearest("zzzzzz", known), "");
}

// Both a name of a megabyte and known names of a megabyte are nobody's slip; comparing them letter
// by letter would take hours.
TEST(Nearest, TakesNoTimeForLongNames) {
  const std::string longer(1 << 20, 'a'), slightly = longer.substr(1);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(Nearest(longer, {"optim", slightly}), "");
    EXPECT_EQ(Nearest("optm", {longer, "optim"}), "optim");
  }
}

TEST(Strings, SplitStripReplace) {
  EXPECT_EQ(Split("a,,b", ','), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(Strip(" \n a b\t"), "a b");
  EXPECT_EQ(ReplaceAll("aXbX", "X", "XX"), "aXXbXX");
  EXPECT_EQ(BytesText(1536), "1.5 KiB");
  EXPECT_EQ(ShapeText({4, 1024}), "[4, 1024]");
}

}  // namespace
}  // namespace retort
