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
  std::string Fault(const std::string& text, Answers answers, int64_t max_tokens = 1024,
                    OverLength over_length = OverLength::kError) {
    return InputFault([&] { Make(text, answers, max_tokens, over_length); },
                      folder_.Write("train.jsonl", text));
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

constexpr const char* kWholeConversations = R"(
  "chosen": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "good"}],
  "rejected": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "bad"}]})";

// As a list, and as a text.
TEST_F(PreferenceRowsTest, APromptThatTheAnswersRepeatIsReadOnce) {
  for (const char* prompt :
       {R"([{"role": "user", "content": "Q"}])", R"("Q")", R"(" Q\n")", R"("")"}) {
    const Row row = Read(Cat(R"({"prompt": )", prompt, ",", kWholeConversations));
    ASSERT_EQ(row.messages.size(), 2u) << prompt;
    EXPECT_EQ(row.messages[0].content + row.messages[1].content, "Qgood");
    ASSERT_EQ(row.rejected->messages.size(), 2u) << prompt;
    EXPECT_EQ(row.rejected->messages[1].content, "bad");
  }
  const Row pair = Read(R"({"prompt": [{"role": "user", "content": "Q"}],
    "completion": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]})");
  EXPECT_EQ(pair.messages.size(), 2u);
}

TEST_F(PreferenceRowsTest, APromptThatTheAnswersRepeatOtherwiseIsRefused) {
  EXPECT_NE(Fault(OneLine(Cat(R"({"prompt": "R",)", kWholeConversations)), Answers::kPairs)
                .find("'prompt' is a text that is no message at the beginning of both answers"),
            std::string::npos);
  EXPECT_NE(Fault(OneLine(R"({"prompt": [{"role": "user", "content": "Q"}],
    "chosen": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "good"}],
    "rejected": [{"role": "assistant", "content": "bad"}]})"),
                  Answers::kPairs)
                .find("only one of 'chosen' and 'rejected' begins with the messages of 'prompt'"),
            std::string::npos);
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

TEST_F(PreferenceRowsTest, TheAuditLooksAtBothAnswersAndCountsTheRowOnce) {
  const auto notes = [&](const std::string& text, Answers answers) {
    return Join(Make(text, answers).notes, "\n");
  };
  const std::string good = R"({"prompt": "Q:", "chosen": " good", "rejected": " bad"})"
                           "\n";
  for (const Answers answers : {Answers::kPairs, Answers::kJudged}) {
    for (const char* row : {R"({"prompt": "P:", "chosen": "", "rejected": " bad"})",
                            R"({"prompt": "P:", "chosen": " good", "rejected": ""})"}) {
      EXPECT_TRUE(notes(good + row, answers).ends_with(":2: the answer is empty (1 of 2 rows)"))
          << notes(good + row, answers);
    }
    EXPECT_NE(notes(good + R"({"prompt": "P:", "chosen": "a", "rejected": "a\ufffd"})", answers)
                  .find("decoded wrongly (1 of 2 rows)"),
              std::string::npos);
  }
}

TEST_F(PreferenceRowsTest, TextsThatRepeatTheirPromptAreTold) {
  const std::vector<std::string> notes =
      Make(OneLine(R"({"prompt": "Q: is water wet?\nA:", "chosen": "Q: is water wet?\nA: yes",
      "rejected": "Q: is water wet?\nA: no"})"),
           Answers::kPairs)
          .notes;
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("the answer begins with the prompt"), std::string::npos);
}

TEST_F(PreferenceRowsTest, ARowIsCutOnce) {
  const ExampleSet set =
      Make(R"({"prompt": "Q:", "chosen": " a long one", "rejected": " longer still"})",
           Answers::kPairs, 8, OverLength::kTruncate);
  EXPECT_EQ(set.truncated, 1);
  EXPECT_EQ(
      Fault(R"({"prompt": "Q: is it?", "chosen": " a", "rejected": " b"})", Answers::kPairs, 8,
            OverLength::kTruncate),
      "train.jsonl:1: the limit of tokens cuts away all that carries loss (1 of 1 rows); raise "
      "data.max_tokens or set data.over_length to drop, or set data.audit to warn");
  EXPECT_TRUE(Fault(OneLine(kTexts), Answers::kPairs, 5).ends_with("to drop or truncate"));
}

TEST_F(PreferenceRowsTest, PairsOfTheSameAnswerAreTold) {
  const std::string same = R"({"prompt": "Q:", "chosen": " x", "rejected": " x"})"
                           "\n";
  EXPECT_TRUE(
      Make(same + kTexts, Answers::kPairs)
          .notes.at(0)
          .ends_with(":1: the two answers are the same, so the pair teaches nothing (1 of 2 "
                     "rows)"));
  EXPECT_NE(Fault(same, Answers::kPairs).find("the pair teaches nothing (1 of 1 rows)"),
            std::string::npos);
  // As they are cut.
  EXPECT_NE(Fault(R"({"prompt": "Q:", "chosen": " abcd", "rejected": " abce"})", Answers::kPairs, 6,
                  OverLength::kTruncate)
                .find("the pair teaches nothing"),
            std::string::npos);
}

TEST_F(PreferenceRowsTest, ALabelMayBeANumber) {
  EXPECT_EQ(Read(R"({"prompt": "p", "completion": "c", "label": 0})").wanted, false);
  EXPECT_EQ(Read(R"({"prompt": "p", "completion": "c", "label": 1})").wanted, true);
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
