// SPDX-License-Identifier: Apache-2.0
#include "grammar/expressions.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace retort {
namespace {

class ExpressionsTest : public testing::Test {
 protected:
  bool Accepts(ExpressionId id, const std::string& text) {
    for (const char c : text) id = e_.Derivative(id, static_cast<uint8_t>(c));
    return e_.Nullable(id);
  }
  ExpressionId Text(std::string_view text) { return e_.Literal(text); }

  Expressions e_;
};

TEST_F(ExpressionsTest, EqualExpressionsAreOne) {
  EXPECT_EQ(e_.Union({Text("a"), Text("b")}), e_.Union({Text("b"), e_.Range('a', 'b')}));
  EXPECT_EQ(e_.Concat(e_.Concat(Text("a"), Text("b")), Text("c")), Text("abc"));
  EXPECT_EQ(e_.Concat(Text("a"), Expressions::kNothing), Expressions::kNothing);
  EXPECT_EQ(e_.Not(e_.Not(Text("a"))), Text("a"));
}

TEST_F(ExpressionsTest, CountsRepetitions) {
  const ExpressionId some = e_.Repeat(Text("ab"), 2, 4);
  EXPECT_FALSE(Accepts(some, "ab"));
  EXPECT_TRUE(Accepts(some, "abab"));
  EXPECT_TRUE(Accepts(some, "abababab"));
  EXPECT_FALSE(Accepts(some, "ababababab"));
  // A count of what may be empty has no least.
  const ExpressionId optional = e_.Repeat(e_.Optional(Text("x")), 3, 5);
  EXPECT_TRUE(Accepts(optional, ""));
  EXPECT_TRUE(Accepts(optional, "xxxxx"));
  EXPECT_FALSE(Accepts(optional, "xxxxxx"));
}

TEST_F(ExpressionsTest, ALargeCountCostsNothing) {
  ExpressionId many = e_.Repeat(e_.Range('a', 'z'), 0, 1'000'000);
  for (int i = 0; i < 1000; ++i) many = e_.Derivative(many, 'q');
  EXPECT_TRUE(e_.Nullable(many));
  EXPECT_LT(e_.size(), 5000u);
}

TEST_F(ExpressionsTest, JoinsTextsWithTheSameBeginning) {
  const ExpressionId texts = e_.AnyOf({"card", "cards", "care", "", "card"});
  for (const char* text : {"card", "cards", "care", ""}) EXPECT_TRUE(Accepts(texts, text)) << text;
  for (const char* text : {"car", "c", "cardss"}) EXPECT_FALSE(Accepts(texts, text)) << text;
}

TEST_F(ExpressionsTest, IntersectionsAndComplements) {
  const ExpressionId letters = e_.Repeat(e_.Range('a', 'z'), 1);
  const ExpressionId others = e_.Both({letters, e_.Not(e_.AnyOf({"if", "else"}))});
  EXPECT_TRUE(Accepts(others, "iff"));
  EXPECT_TRUE(Accepts(others, "i"));
  EXPECT_FALSE(Accepts(others, "if"));
  EXPECT_FALSE(Accepts(others, "else"));
  EXPECT_FALSE(Accepts(others, "IF"));
}

TEST_F(ExpressionsTest, FindsOutWhatHasNoText) {
  const ExpressionId even = e_.Repeat(Text("aa"), 0), odd = e_.Concat(Text("a"), even);
  EXPECT_TRUE(e_.IsNothing(e_.Both({even, odd})));
  EXPECT_FALSE(e_.IsNothing(e_.Both({even, e_.Repeat(Text("aaa"), 1)})));  // six
  EXPECT_TRUE(e_.IsNothing(e_.Both({Text("x"), Text("y")})));
  EXPECT_FALSE(e_.IsNothing(e_.Not(even)));
}

TEST_F(ExpressionsTest, MultiplesOfANumber) {
  const ExpressionId multiples = e_.Multiples(7);
  for (const char* text : {"0", "7", "14", "700", "994"})
    EXPECT_TRUE(Accepts(multiples, text)) << text;
  for (const char* text : {"1", "15", "701", "7x"}) EXPECT_FALSE(Accepts(multiples, text)) << text;
}

TEST_F(ExpressionsTest, BytesThatNothingTellsApartShareAClass) {
  e_.Union({e_.Range('a', 'f'), e_.Concat(e_.Range('d', 'z'), Text("0"))});
  const auto& classes = e_.ByteClasses();
  EXPECT_EQ(classes.of['a'], classes.of['c']);
  EXPECT_NE(classes.of['c'], classes.of['d']);
  EXPECT_NE(classes.of['f'], classes.of['g']);
  EXPECT_EQ(classes.of['A'], classes.of[0xFF]);
}

TEST_F(ExpressionsTest, StepsAreBounded) {
  const ExpressionId text = e_.Repeat(e_.Range('a', 'b'), 1);
  e_.Allow(5);
  EXPECT_THROW(
      {
        for (ExpressionId at = text;;) at = e_.Derivative(at, 'a');
      },
      Error);
}

TEST_F(ExpressionsTest, AUnionsPartsAreCopiedOnceAndCounted) {
  std::vector<ExpressionId> texts;
  for (int i = 0; i < 4000; ++i) texts.push_back(Text("x" + std::to_string(i)));
  const ExpressionId many = e_.Union(texts);
  std::vector<ExpressionId> different(4000, many);
  for (const char* text : {"a", "bc", "de", "fg"})
    different.push_back(e_.Union({many, e_.Concat(Text(text), Text("y"))}));
  e_.Allow(2000);
  EXPECT_EQ(e_.Union(std::vector<ExpressionId>(4000, many)), many);
  EXPECT_THROW(e_.Union(different), Error);
}

}  // namespace
}  // namespace retort
