// SPDX-License-Identifier: Apache-2.0
#include "base/strings.h"
#include "tests/grammar/grammar_texts.h"

namespace retort {
namespace {

TEST(Lark, RulesAndTerminals) {
  const auto grammar = Compiled(kLark, R"lark(
// Sums of numbers and sums in brackets.
start: sum
?sum: term | sum "+" term -> add   # it begins with itself
!term: NUMBER
     | "(" sum ")"
NUMBER: DIGIT+ ["." DIGIT ~ 1..2]
DIGIT: "0".."9"
)lark");
  ExpectTexts(*grammar, {"1", "1+(2.5+33)", "((4.25))"},
              {"", "1+", "(1", "1)", "1.", "1.123", "a"});
}

TEST(Lark, TextsAndExpressions) {
  ExpectTexts(*Compiled(kLark, "start: \"Ab1\"i /[a-c]\\/+/ \"\\u00e9\\n\\f\"?"),
              {"aB1b//", "AB1a/\u00e9\n\f"}, {"ab1d/", "ab2a/"});
  ExpectTexts(*Compiled(kLark, "start: A{2} B{1,} (\"c\" | [\"d\"] \"e\")~2\nA: \"a\"\nB: \"b\""),
              {"aabcc", "aabbdee", "aabec"}, {"abcc", "aacc", "aabc"});
  ExpectTexts(*Compiled(kLark, "start: | \"a\"\n  | \"b\""), {"", "a", "b"}, {"ab"});
  ExpectTexts(*Compiled(kLark, "start: \"a\" * (\"b\" | \"c\") ? \"d\" .. \"f\" +"),
              {"aabe", "def", "f"}, {"", "abc", "ag"});
  ExpectTexts(*Compiled(kLark, "start: \"a\" {,2} \"b\""), {"b", "ab", "aab"}, {"aaab"});
}

TEST(Lark, IgnoredTextMayStandBeforeTerminals) {
  const auto grammar = Compiled(kLark,
                                "start: NAME \"=\" /[0-9]+/ (\",\" NAME)*\nNAME: \"x\" \"y\"\n"
                                "%import common (WS_INLINE, SH_COMMENT)\n"
                                "%ignore WS_INLINE\n%ignore /;/");
  ExpectTexts(*grammar, {"xy=12", "xy = 12", "xy ;=  1 ,xy"},
              {"x y=1", "xy = 1 2", "xy = 1 ", "xy\n=1"});
}

TEST(Lark, TheCommonTerminals) {
  const auto common = [](const std::string& name) {
    return Compiled(kLark, Cat("start: X\n%import common.", name, " -> X"));
  };
  ExpectTexts(*common("SIGNED_NUMBER"), {"1", "-1.5e3", "+.5", "2."}, {"", "-", "1e", "."});
  ExpectTexts(*common("FLOAT"), {"1.5", "1e5", "1.e5"}, {"1", "-1.5"});
  ExpectTexts(*common("ESCAPED_STRING"), {R"("a\"b")", R"("")"}, {R"("a"b")", R"("\")"});
  ExpectTexts(*common("CNAME"), {"_a1", "b"}, {"1a", ""});
  ExpectTexts(*common("C_COMMENT"), {"/* a * b **/", "/**/"}, {"/* a */ b */", "/*"});
  ExpectTexts(*common("NEWLINE"), {"\n", "\r\n\n"}, {"\r"});
}

TEST(Lark, RefusesWithTheLine) {
  const auto refused = [](const std::string& text, const std::string& what) {
    EXPECT_NE(Refusal(kLark, text).find(what), std::string::npos)
        << text << ": " << Refusal(kLark, text);
  };
  refused("start: \"a\"\nb = \"c\"", "test:2: expected ':'");
  refused("start: missing", "no rule 'missing'");
  refused("a: \"x\"", "no rule 'start'");
  refused("start: A\nA: \"a\" A | \"b\"", "the terminal 'A' contains itself");
  refused("start: A\nA: b\nb: \"c\"", "test:2: a terminal cannot be made of the rule 'b'");
  refused("start: A\nA.2: \"a\"", "priorities");
  refused("start{x}: x", "templates");
  refused("start: %json {}", "not supported");
  refused("%declare X\nstart: X", "'%declare' is not supported");
  refused("start: X\n%import python.X", "only 'common'");
  refused("start: X\n%import common.NOTHING", "no common.NOTHING");
  refused("start: \"ab\"..\"c\"", "a range of two characters");
  refused("start: /a/i", "options of regular expressions");
  refused("start: /(?=a)/", "lookahead");
  refused("start: \"a\" ~ 3..2", "~m..n");
  refused("start: a \"x\" | \"y\"\na: start", "left recursion");
  refused("start: start", "no text");
  refused("start: \"a\"\nstart: \"b\"", "'start' is defined twice");
}

TEST(Lark, IsToldFromGbnf) {
  for (const char* text : {"start: \"a\"", "// c\n\n?start : \"::=\"", "%import common.INT\n",
                           "# c\nstart.1: \"a\"", "!start: A"})
    EXPECT_EQ(NotationOf(text), kLark) << text;
  for (const char* text :
       {"root ::= \"a\"", "# start: \"a\"\nroot::= \"a\"", "", "# nothing", "??"})
    EXPECT_EQ(NotationOf(text), text[0] == '?' ? kLark : kGbnf) << text;
}

// What is made to cost much is small all the same, or refused. (What takes long shows as a test
// that does not end.)
TEST(Lark, HostileGrammars) {
  std::string deep = "start: ", chain = "start: a0\n";
  for (int i = 0; i < 100'000; ++i) deep += '(';
  for (int i = 0; i < 5000; ++i) chain += Cat("a", i, ": \"x\" a", i + 1, "\n");
  std::string doubled = "start: A40\nA0: \"ab\"\n";
  for (int i = 0; i < 40; ++i) doubled += Cat("A", i + 1, ": A", i, " A", i, "\n");
  std::string wide = "start: ";
  for (int i = 0; i < 50'000; ++i) wide += Cat(i > 0 ? " | " : "", "\"k", i, "\"i");
  EXPECT_NE(Refusal(kLark, deep), "");
  EXPECT_NE(Refusal(kLark, chain), "");
  Refusal(kLark, doubled);
  Refusal(kLark, wide);
  ExpectTexts(*Compiled(kLark, "start: ((\"a\"~0..100000)~0..100000)~0..100000"), {"", "aa"},
              {"b"});
  ExpectTexts(*Compiled(kLark, "start: (\"a\" | /a+/ | (\"a\"+)+)+\n%ignore /a*/"), {"aaaa"},
              {"b"});
}

}  // namespace
}  // namespace retort
