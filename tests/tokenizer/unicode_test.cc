// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/unicode.h"

#include <gtest/gtest.h>

namespace retort {
namespace {

// Facts of Unicode's files, chosen so that tables of another version fail.
TEST(Unicode, IsOfVersion16) {
  EXPECT_TRUE(PropertySet("L")->Contains(0x13460));   // Egyptian hieroglyphs, added in 16
  EXPECT_TRUE(PropertySet("Lo")->Contains(0x31350));  // CJK extension H, 15
  EXPECT_TRUE(PropertySet("Han")->Contains(0x31350));
  EXPECT_TRUE(PropertySet("Lu")->Contains(0xA7DC));   // 16
  EXPECT_FALSE(PropertySet("N")->Contains(0x11DE0));  // 17
  EXPECT_TRUE(NumbersOfUnicode17().Contains(0x11DE0));
  EXPECT_TRUE(NumbersOfUnicode17().Contains('7'));
  EXPECT_TRUE(PunctuationOfUnicode8().Contains('$'));
  EXPECT_FALSE(PunctuationOfUnicode8().Contains(0x2E43));  // 9
  EXPECT_TRUE(MarksOfUnicode9().Contains(0x1CF2));         // a letter since 12
  EXPECT_FALSE(MarksOfUnicode9().Contains(0x1DFA));        // 14
  EXPECT_TRUE(IsNewerThanUnicode9(0x1DFA));
  EXPECT_FALSE(IsNewerThanUnicode9(0x0323));
}

// Each code has one category; the counts are those of Unicode 16's DerivedGeneralCategory.txt.
TEST(Unicode, HasEveryCode) {
  const auto count = [](const char* name) {
    size_t codes = 0;
    for (const CodeRange r : PropertySet(name)->ranges()) codes += r.last - r.first + 1;
    return codes;
  };
  EXPECT_EQ(count("L"), 141028u);
  EXPECT_EQ(count("N"), 1911u);
  EXPECT_EQ(count("P"), 855u);
  EXPECT_EQ(count("M"), 2501u);
  EXPECT_EQ(count("S"), 8514u);
  EXPECT_EQ(count("Cn"), 819533u);
  EXPECT_EQ(count("Cs"), 2048u);
  EXPECT_EQ(
      count("L") + count("N") + count("P") + count("M") + count("S") + count("Z") + count("C"),
      0x110000u);
  EXPECT_EQ(count("White_Space"), 25u);
  EXPECT_EQ(count("Han"), 99030u);
  EXPECT_EQ(count("Alphabetic"), 142759u);
}

TEST(Unicode, KnowsPropertiesByAllTheirNames) {
  EXPECT_EQ(PropertySet("Lu"), PropertySet("lu"));
  EXPECT_EQ(PropertySet("Uppercase_Letter")->ranges().size(), PropertySet("Lu")->ranges().size());
  EXPECT_TRUE(PropertySet("hiragana")->Contains(0x3042));
  EXPECT_EQ(PropertySet("Klingon"), nullptr);
  EXPECT_EQ(PropertySet(""), nullptr);
}

TEST(Unicode, LowersLetters) {
  EXPECT_EQ(LowerCase('A'), U'a');
  EXPECT_EQ(LowerCase('a'), U'a');
  EXPECT_EQ(LowerCase('['), U'[');
  EXPECT_EQ(LowerCase(0x100), 0x101u);
  EXPECT_EQ(LowerCase(0x101), 0x101u);
  EXPECT_EQ(LowerCase(0x130), U'i');
  EXPECT_EQ(LowerCase(0x212A), U'k');
  EXPECT_EQ(LowerCase(0x10400), 0x10428u);
  EXPECT_EQ(LowerCase(0xA7DC), 0x19Bu);
  EXPECT_EQ(LowerCase(0xA7D2), 0xA7D3u);  // of Unicode 17
}

TEST(Unicode, TellsWordsApart) {
  for (const char32_t c : {U'a', U'_', U'7', U'\u00E9', U'\u4E00', U'\u0301', U'\u200D', U'\u24B6'})
    EXPECT_TRUE(IsWordChar(c)) << static_cast<uint32_t>(c);
  for (const char32_t c : {U'-', U' ', U'\u3002', U'\u2019', U'\u00B2', U'\u20AC', U'\U0001F600'})
    EXPECT_FALSE(IsWordChar(c)) << static_cast<uint32_t>(c);
  EXPECT_TRUE(ExpressionWordChars().Contains(0xB2));
  EXPECT_FALSE(ExpressionWordChars().Contains(0x200D));
}

TEST(CodeSet, IsASet) {
  using Ranges = std::vector<CodeRange>;
  const CodeSet a(Ranges{{5, 9}, {1, 2}, {3, 3}}), b(Ranges{{9, 12}});
  ASSERT_EQ(a.ranges().size(), 2u);  // 1-3, 5-9
  EXPECT_TRUE(a.Contains(3) && a.Contains(5) && !a.Contains(4) && !a.Contains(10));
  EXPECT_EQ(a.Union(b).ranges().back().last, 12u);
  EXPECT_EQ(a.Intersection(b).ranges().size(), 1u);
  EXPECT_FALSE(a.Without(b).Contains(9));
  EXPECT_TRUE(a.Complement().Contains(0) && a.Complement().Contains(0x10FFFF));
  EXPECT_TRUE(CodeSet().Complement().Complement().ranges().empty());
}

}  // namespace
}  // namespace retort
