// SPDX-License-Identifier: Apache-2.0
#include "base/hex.h"

#include <gtest/gtest.h>

#include <random>

#include "base/random_text.h"
#include "base/rounding.h"

namespace retort {
namespace {

TEST(HexText, OfNumbersHasLeadingZeros) {
  EXPECT_EQ(HexText(0x1f, 4), "001f");
  EXPECT_EQ(HexText(0x12345, 2), "45");
  EXPECT_EQ(HexText(UINT64_MAX, 16), "ffffffffffffffff");
  EXPECT_EQ(HexText(7, 0), "");
}

TEST(HexText, OfBytesHasTwoDigitsForEach) {
  EXPECT_EQ(HexText(std::string_view("\x00\x0a\xff", 3)), "000aff");
  EXPECT_EQ(HexText(""), "");
}

TEST(HexDigit, IsOfEitherCase) {
  EXPECT_EQ(HexDigit('9'), 9);
  EXPECT_EQ(HexDigit('a'), 10);
  EXPECT_EQ(HexDigit('F'), 15);
  for (const char c : {'g', 'G', '/', ':', '@', '`', '\xe9', '\0'}) EXPECT_EQ(HexDigit(c), -1);
}

TEST(RandomText, TakesANumberForEachCharacter) {
  std::mt19937_64 random(1), same(1);
  const std::string text = RandomText(random, "abc", 5);
  std::string expected;
  for (int i = 0; i < 5; ++i) expected += "abc"[same() % 3];
  EXPECT_EQ(text, expected);
}

TEST(Rounding, IsUpwards) {
  EXPECT_EQ(CeilDiv(0, 4), 0);
  EXPECT_EQ(CeilDiv(8, 4), 2);
  EXPECT_EQ(CeilDiv(9, 4), 3);
  EXPECT_EQ(RoundUp(9, 4), 12);
}

}  // namespace
}  // namespace retort
