// SPDX-License-Identifier: Apache-2.0
// Rows of two answers, of judged ones, and of prompts and answers that are messages.
#include <gtest/gtest.h>

#include <algorithm>

#include "data/examples.h"
#include "tests/data/support.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

constexpr const char* kTexts = R"({"prompt": "Q:", "chosen": " good", "rejected": " bad"})";
constexpr const char* kShared = R"({"chosen": "Q: good", "rejected": "Q: bad"})";
constexpr const char* kMessages = R"({"prompt": [{"role": "user", "content": "Q"}],
  "chosen": [{"role": "assistant", "content": "good"}],
  "rejected": [{"role": "assistant", "content": "bad"}]})";
constexpr const char* kSharedMessages =
    R"({"chosen": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "good"}],
  "rejected": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "bad"}]})";
constexpr const char* kOpenAi = R"({"input": {"messages": [{"role": "user", "content": "Q"}]},
  "preferred_output": [{"role": "assistant", "content": "good"}],
  "non_preferred_output": [{"role": "assistant", "content": "bad"}]})";
constexpr const char* kJudged = R"({"prompt": "Q:", "completion": " A", "label": false})";

std::string OneLine(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text + "\n";
}

class PreferenceRowsTest : public testing::Test {
 protected:
  Row Read(const std::string& text) {
    return Rows::Open({{folder_.Write("train.jsonl", OneLine(text))}}).Read(0);
  }
  ExampleSet Make(const std::string& text, Answers answers, int64_t max_tokens = 1024,
                  OverLength over_length = OverLength::kError) {
    ExampleOptions options;
    options.answers = answers;
    options.max_tokens = max_tokens;
    options.over_length = over_length;
    const ChatTemplate chat = ChatTemplate::Named("chatml");
    return MakeExamples(Rows::Open({{folder_.Write("train.jsonl", text)}}), tokenizer_, &chat,
                        options);
  }
  std::string Fault(const std::string& text, Answers answers) {
    return InputFault([&] { Make(text, answers); }, folder_.Write("train.jsonl", text));
  }

  ByteTokenizer tokenizer_;
  TempFolder folder_;
};

TEST_F(PreferenceRowsTest, TextsWithAPromptOrWithWhatBothBeginWith) {
  for (const char* text : {kTexts, kShared}) {
    const Row row = Read(text);
    EXPECT_EQ(row.kind, RowFormat::kPromptCompletion);
    EXPECT_EQ(row.prompt, "Q:");
    EXPECT_EQ(row.completion, " good");
    EXPECT_EQ(row.wanted, true);
    ASSERT_TRUE(row.rejected);
    EXPECT_EQ(row.rejected->prompt, "Q:");
    EXPECT_EQ(row.rejected->completion, " bad");
    EXPECT_EQ(row.rejected->wanted, false);
  }
  // A character of several bytes is not cut.
  const Row row = Read(R"({"chosen": "Qé", "rejected": "Qè"})");
  EXPECT_EQ(row.prompt, "Q");
  EXPECT_EQ(row.completion, "é");
}

TEST_F(PreferenceRowsTest, MessagesInTheirThreeForms) {
  for (const char* text : {kMessages, kSharedMessages, kOpenAi}) {
    const Row row = Read(text);
    EXPECT_EQ(row.kind, RowFormat::kMessages);
    ASSERT_EQ(row.messages.size(), 2u);
    EXPECT_EQ(row.messages[1].content, "good");
    ASSERT_TRUE(row.rejected);
    ASSERT_EQ(row.rejected->messages.size(), 2u);
    EXPECT_EQ(row.rejected->messages[1].content, "bad");
  }
}

// OpenAI's rows have the tools beside the messages, within 'input'.
TEST_F(PreferenceRowsTest, WhatStandsBesideTheMessagesOfAnInputIsRead) {
  std::string text = kOpenAi;
  text.insert(text.find("{\"messages\"") + 1, R"("tools": [{"type": "function"}], )");
  const Row row = Read(text);
  EXPECT_EQ(row.tools, R"([{"type":"function"}])");
  EXPECT_EQ(row.rejected->tools, row.tools);
  text.insert(text.find("\"tools\""), R"("parallel_tool_calls": true, )");
  EXPECT_NE(Fault(OneLine(text), Answers::kPairs).find("'parallel_tool_calls'"), std::string::npos);
}

TEST_F(PreferenceRowsTest, OnlyTheAnswersTurnsAreLearnt) {
  const Row row = Read(R"({"prompt": [{"role": "user", "content": "a"},
    {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
    "completion": [{"role": "assistant", "content": "d"}], "system": "s"})");
  ASSERT_EQ(row.messages.size(), 5u);
  EXPECT_EQ(row.messages[0].role, "system");
  EXPECT_FALSE(row.messages[2].learn);
  EXPECT_TRUE(row.messages[4].learn);
  EXPECT_FALSE(row.wanted);
}

TEST_F(PreferenceRowsTest, APairIsTwoJoinedExamples) {
  for (const char* text : {kTexts, kMessages}) {
    const ExampleSet set = Make(OneLine(text), Answers::kPairs);
    ASSERT_EQ(set.examples.size(), 2u);
    const Example &chosen = set.examples[0], &rejected = set.examples[1];
    EXPECT_TRUE(chosen.wanted && !chosen.joined);
    EXPECT_TRUE(!rejected.wanted && rejected.joined);
    EXPECT_EQ(chosen.row, rejected.row);
    EXPECT_EQ(chosen.answer, rejected.answer);
    EXPECT_NE(ShowExample(chosen, tokenizer_).find("good"), std::string::npos);
    EXPECT_NE(ShowExample(rejected, tokenizer_).find("bad"), std::string::npos);
    for (const Example* e : {&chosen, &rejected}) {
      EXPECT_TRUE(std::all_of(e->labels.begin(), e->labels.begin() + e->answer,
                              [](int32_t label) { return label == kNoLoss; }));
      EXPECT_NE(e->labels[static_cast<size_t>(e->answer)], kNoLoss);
    }
  }
}

TEST_F(PreferenceRowsTest, JudgedAnswersAreSingle) {
  const ExampleSet set = Make(OneLine(kJudged), Answers::kJudged);
  ASSERT_EQ(set.examples.size(), 1u);
  EXPECT_FALSE(set.examples[0].wanted);
  const ExampleSet apart = Make(OneLine(kTexts), Answers::kJudged);
  ASSERT_EQ(apart.examples.size(), 2u);
  EXPECT_TRUE(apart.examples[0].wanted && !apart.examples[1].wanted);
  EXPECT_FALSE(apart.examples[1].joined);
}

// A pair is taken whole or not at all.
TEST_F(PreferenceRowsTest, ALongAnswerTakesThePairWithIt) {
  const std::string rows =
      Cat(kTexts, "\n", R"({"prompt": "Q:", "chosen": " 1", "rejected": " much too long"})", "\n");
  const ExampleSet set = Make(rows, Answers::kPairs, 10, OverLength::kDrop);
  EXPECT_EQ(set.examples.size(), 2u);
  EXPECT_EQ(set.dropped, 1);
}

TEST_F(PreferenceRowsTest, WhatDoesNotFitIsRefusedByName) {
  EXPECT_NE(Fault(OneLine(kTexts), Answers::kOne).find("preference.method"), std::string::npos);
  EXPECT_NE(Fault(OneLine(kJudged), Answers::kOne).find("preference.method"), std::string::npos);
  EXPECT_NE(Fault(OneLine(kJudged), Answers::kPairs).find("'rejected'"), std::string::npos);
  EXPECT_NE(Fault(R"({"prompt": "p", "completion": "c"})", Answers::kJudged).find("'label'"),
            std::string::npos);
  const char* const same =
      R"({"chosen": [{"role": "assistant", "content": "a"}], "rejected": [{"role": "assistant", "content": "a"}]})";
  EXPECT_NE(Fault(same, Answers::kPairs).find("do not differ"), std::string::npos);
  EXPECT_NE(Fault(OneLine(kTexts) + OneLine(kMessages), Answers::kPairs).find("first row"),
            std::string::npos);
  EXPECT_NE(Fault(OneLine(R"({"prompt": "p", "completion": "c", "label": true})") +
                      R"({"prompt": "p", "completion": "c", "label": 2})",
                  Answers::kJudged)
                .find("true or false"),
            std::string::npos);
}

}  // namespace
}  // namespace retort
