// SPDX-License-Identifier: Apache-2.0
#include "tests/grammar/grammar_texts.h"

namespace retort {
namespace {

TEST(Gbnf, RulesThatContainThemselves) {
  const auto grammar = Compiled(kGbnf, R"gbnf(
# Sums of numbers and sums in brackets.
root ::= term (" + " term)*
term ::= [0-9]+ | "(" root ")"
)gbnf");
  ExpectTexts(*grammar, {"1", "1 + (2 + 33)", "((4))"}, {"", "1 +", "(1", "1)", "a"});
}

TEST(Gbnf, TextsSetsAndCounts) {
  ExpectTexts(*Compiled(kGbnf, R"(root ::= "a\"\n" [^\n\]x-z]{2} "\u00e9"? .)"),
              {"a\"\nab\u00e9!", "a\"\nab!"}, {"a\"\nax!", "a\"\na]!", "a\"\nab"});
  ExpectTexts(*Compiled(kGbnf, "root ::= \"a\"\n  | \"b\"\n  | c\nc ::= \"c\"{2,}\n"),
              {"a", "b", "cc", "cccc"}, {"c", "ab"});
}

TEST(Gbnf, RefusesWithTheLine) {
  EXPECT_NE(Refusal(kGbnf, "root ::= \"a\"\nb = \"c\"").find("test:2: expected '::='"),
            std::string::npos);
  EXPECT_NE(Refusal(kGbnf, "root ::= missing").find("no rule 'missing'"), std::string::npos);
  EXPECT_NE(Refusal(kGbnf, "a ::= \"x\"").find("no rule 'root'"), std::string::npos);
  EXPECT_NE(Refusal(kGbnf, "root ::= root \"a\" | \"b\"").find("left recursion"),
            std::string::npos);
  EXPECT_NE(Refusal(kGbnf, "root ::= | root \"a\"").find("left recursion"), std::string::npos);
  EXPECT_NE(Refusal(kGbnf, "root ::= \"a\" root").find("no text"), std::string::npos);
  EXPECT_NE(Refusal(kGbnf, "root ::= \"a").find("does not end"), std::string::npos);
}

}  // namespace
}  // namespace retort
