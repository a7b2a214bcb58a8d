// SPDX-License-Identifier: Apache-2.0
// Expressions mean what they mean to Oniguruma with Ruby's syntax. The expected words are those of
// Hugging Face's library (tokenizers 0.23.3, pre_tokenizers.Split(Regex(...), "removed", invert=True)).
#include "tokenizer/regex_syntax.h"

#include <gtest/gtest.h>

#include "base/strings.h"
#include "tests/formats/support.h"
#include "tests/tokenizer/made_tokenizer.h"
#include "tokenizer/regex.h"

namespace retort {
namespace {

// The matches, joined by "|".
std::string AllMatches(const std::string& pattern, const std::string& text) {
  const Regex regex(pattern, "test");
  Regex::Scratch scratch;
  WorkBudget budget = Regex::BudgetFor(text.size());
  std::vector<std::string> found;
  Regex::Match match{0, 0};
  while (regex.Find(text, match.end, &scratch, &budget, &match))
    found.push_back(text.substr(match.begin, match.end - match.begin));
  return Join(found, "|");
}

TEST(RegexSyntax, KnowsUnicode16) {
  const std::string hieroglyph = "\U00013A14", ideograph = "\U00031350";
  EXPECT_EQ(AllMatches(R"(\p{L}+)", "a" + hieroglyph + ideograph + "1"),
            "a" + hieroglyph + ideograph);
  EXPECT_EQ(AllMatches(R"([^\p{L}]+)", hieroglyph + "12" + ideograph), "12");
  EXPECT_EQ(AllMatches(R"(\P{L}+)", hieroglyph + "12" + ideograph), "12");
  EXPECT_EQ(AllMatches(R"([\P{L}x]+)", "x" + hieroglyph + "12" + ideograph), "x|12");
  EXPECT_EQ(AllMatches(R"(\p{^L}+)", hieroglyph + "12" + ideograph), "12");
  EXPECT_EQ(AllMatches(R"(\p{Han}+)", "a" + ideograph + "\u3042"), ideograph);
  EXPECT_EQ(AllMatches(R"(\p{Lu})", "\uA7DC\uA7DD"), "\uA7DC");
}

TEST(RegexSyntax, KnowsClasses) {
  EXPECT_EQ(AllMatches(R"(\w+)", "a\u0301_1\u00B2-\u200Db"), "a\u0301_1\u00B2|b");
  EXPECT_EQ(AllMatches(R"(\h+)", "xfFg9\u00A0"), "fF|9");
  EXPECT_EQ(AllMatches(R"(\d+)", "1\u0663\u00BD2"), "1\u0663|2");
  EXPECT_EQ(AllMatches(R"([[:punct:]]+)", "a$.\u20AC\u3002b"), "$.\u20AC\u3002");
  EXPECT_EQ(AllMatches(R"([[:^space:]]+)", "a b"), "a|b");
  EXPECT_EQ(AllMatches(R"(\bb\w*)", "abc bcd-be"), "bcd|be");
  EXPECT_EQ(AllMatches(R"(\Bb)", "ab b"), "b");
  EXPECT_EQ(AllMatches("\\u4E00[\\u4E00-\\u4E02]", "\u4E00\u4E02\u4E00\u4E03"), "\u4E00\u4E02");
}

TEST(RegexSyntax, KnowsBracketsInBrackets) {
  EXPECT_EQ(AllMatches(R"([a[b-d]&&[^c]]+)", "abcde"), "ab|d");
  EXPECT_EQ(AllMatches(R"([\p{L}&&[^\p{Han}]]+)", "ab\u4E00\u3042"), "ab|\u3042");
  EXPECT_EQ(AllMatches(R"( ?[^(\s|[.,!?])]+)", "hi (a) b,c"), "hi|a| b|c");
  EXPECT_EQ(AllMatches(R"([\[\]\-a]+)", "b[a-]b"), "[a-]");
  EXPECT_EQ(AllMatches(R"([^\n\r]+)", "a\nb"), "a|b");
}

// {n,m}+ repeats; it is not possessive, as it is to PCRE2.
TEST(RegexSyntax, KnowsRubysQuantifiersAndFlags) {
  EXPECT_EQ(AllMatches(R"(\d{1,3}+)", "12345 6"), "12345|6");
  EXPECT_EQ(AllMatches(R"((?:ab){1,2}+)", "ababab"), "ababab");
  EXPECT_EQ(AllMatches("x{,2}y", "xxxy"), "xxy");
  EXPECT_EQ(AllMatches("a{x", "a{x"), "a{x");
  EXPECT_EQ(AllMatches("a++", "aaa"), "aaa");
  EXPECT_EQ(AllMatches("(?m:a.b)", "a\nb"), "a\nb");
  EXPECT_EQ(AllMatches("a.b", "a\nb"), "");
  EXPECT_EQ(AllMatches(R"(\s+$)", "a  \nb "), "  | ");
  EXPECT_EQ(AllMatches("(?<=a)b", "abb"), "b");
  EXPECT_EQ(AllMatches("(?i:'s)", "'s'S'\u017F"), "'s|'S|'\u017F");
}

TEST(RegexSyntax, RefusesByName) {
  ExpectRefusal(RefusalOf([] { Regex(R"(\p{Klingon})", "file"); }),
                "file: the expression '\\p{Klingon}': the property 'Klingon' is not known");
  ExpectRefusal(RefusalOf([] { Regex("[[:odd:]]", "file"); }), "the class [:'odd':] is not known");
  ExpectRefusal(RefusalOf([] { Regex("[a[b", "file"); }), "without an end");
  ExpectRefusal(RefusalOf([] { Regex(std::string(2000, '[') + "a", "file"); }), "brackets");
  ExpectRefusal(RefusalOf([] { Regex("(", "file"); }), "is not understood");
  std::string many;
  for (int i = 0; i < 10000; ++i) many += "\\b";
  ExpectRefusal(RefusalOf([&] { Regex(many, "file"); }), "too many classes");
}

}  // namespace
}  // namespace retort
