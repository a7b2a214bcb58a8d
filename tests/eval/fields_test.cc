// SPDX-License-Identifier: Apache-2.0
#include "eval/fields.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "eval/scope.h"
#include "tests/eval/support.h"

namespace retort {
namespace {

TEST(FieldsResult, CountsFieldByField) {
  FieldsResult r;
  // One of two values right, and one field that nobody wanted.
  r.Add(R"({"date": "tonight", "time": "7pm"})", R"( {"time":"7pm","date":"today","people":"2"})",
        "a");
  r.Add(R"({"people": "4"})", R"({"people": "4"})", "b");
  r.Add("{}", "{}", "c");
  EXPECT_EQ(r.rows, 3);
  EXPECT_EQ(r.whole, 2);
  EXPECT_EQ(r.malformed, 0);
  EXPECT_EQ(r.all.right, 2);
  EXPECT_DOUBLE_EQ(r.all.precision(), 2.0 / 4);
  EXPECT_DOUBLE_EQ(r.all.recall(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(r.all.f1(), 2 * 2.0 / (4 + 3));
  EXPECT_DOUBLE_EQ(r.fields["people"].precision(), 0.5);
  EXPECT_DOUBLE_EQ(r.fields["people"].recall(), 1);
  EXPECT_DOUBLE_EQ(r.fields["date"].f1(), 0);
}

TEST(FieldsResult, WhatIsNoObjectSaysNothing) {
  FieldsResult r;
  r.Add(R"({"time": "7pm"})", R"({"time": "7pm"} and more)", "a");
  r.Add(R"({"time": "7pm"})", R"(["7pm"])", "b");
  r.Add(R"({"time": "7pm"})", R"({"time": "7pm", "time": "8pm"})", "c");
  r.Add("{}", "", "d");
  EXPECT_EQ(r.malformed, 4);
  EXPECT_EQ(r.whole, 0);
  EXPECT_EQ(r.all.said, 0);
  EXPECT_DOUBLE_EQ(r.all.precision(), 0);
  EXPECT_DOUBLE_EQ(r.all.recall(), 0);
}

TEST(FieldsResult, ValuesAreComparedAsJson) {
  FieldsResult r;
  r.Add(R"({"n": 1, "list": [1, {"a": null}], "text": "1"})",
        R"({"text": 1, "list": [1,{"a":null}], "n": 1})", "a");
  EXPECT_EQ(r.all.right, 2);
  EXPECT_EQ(r.fields["text"].right, 0);
  r.Add(R"({"a": {"b": 1, "c": 2}, "d": "x"})", R"({"d": "x", "a": {"c": 2, "b": 1}})", "b");
  EXPECT_EQ(r.whole, 1);
}

TEST(FieldsResult, NothingToSayAndNothingSaidIsRight) {
  FieldsResult r;
  r.Add("{}", "{}", "a");
  EXPECT_DOUBLE_EQ(r.all.f1(), 1);
  EXPECT_EQ(r.whole, 1);
}

TEST(FieldsResult, RefusesRowsWithoutFields) {
  FieldsResult r;
  EXPECT_THROW(r.Add("card_arrival", "{}", "rows.jsonl:3"), Error);
}

// A model that ends its answer by itself, and one that does not before the limit.
TEST(EvaluateFields, DecodesWholeAnswers) {
  const SmallWorld world{9};
  const auto prompt = world.tokenizer.EncodePrompt("a prompt");
  QuestionOptions options;
  options.parallel = 2;
  const FieldsResult r =
      EvaluateFields(*world.model, nullptr, world.tokenizer, nullptr,
                     {{"a", prompt, R"({"a": 1})"}, {"b", prompt, "{}"}}, options);
  EXPECT_EQ(r.rows, 2);
  EXPECT_EQ(r.malformed, 2);  // random text
  EXPECT_EQ(r.all.wanted, 1);
  EXPECT_GT(r.tokens, 0);
  options.max_tokens = std::ssize(prompt) + 4;
  options.over_length = OverLength::kDrop;
  EXPECT_EQ(EvaluateFields(*world.model, nullptr, world.tokenizer, nullptr,
                           {{"a", prompt, R"({"a": 1})"}, {"b", prompt, "{}"}}, options)
                .dropped,
            1);
}

TEST(ScopeCounts, AreSharesOfTheirRows) {
  ScopeCounts counts;
  for (const bool right : {true, true, true, false}) counts.Add(false, right);
  for (const bool right : {true, false}) counts.Add(true, right);
  EXPECT_DOUBLE_EQ(counts.in_scope(), 0.75);
  EXPECT_DOUBLE_EQ(counts.out_of_scope_recall(), 0.5);
}

}  // namespace
}  // namespace retort
