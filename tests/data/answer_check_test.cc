// SPDX-License-Identifier: Apache-2.0
// Answers of rows held to a schema, and the loss left off what it forces.
#include "data/answer_check.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/example_cache.h"
#include "data/examples.h"
#include "tests/data/support.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

constexpr const char* kSchema =
    R"({"type": "object", "properties": {"label": {"enum": ["card", "cash", "loan"]}, )"
    R"("sure": {"type": "boolean"}}, "required": ["label", "sure"], "additionalProperties": false})";

class AnswerCheckTest : public testing::Test {
 protected:
  std::shared_ptr<const AnswerCheck> CheckOf(const std::string& rows) {
    path_ = folder_.Write("train.jsonl", rows);
    rows_ = Rows::Open({{path_}});
    return std::make_shared<const AnswerCheck>(kSchema, "schema.json", rows_, false, tokenizer_);
  }
  ExampleSet Make(const std::string& rows, LossOn loss_on = LossOn::kChoices) {
    ExampleOptions options;
    options.answer_check = CheckOf(rows);
    options.loss_on = loss_on;
    const ChatTemplate chat = ChatTemplate::Named("chatml");
    return MakeExamples(rows_, tokenizer_, &chat, options);
  }
  std::string Shown(const std::string& rows) {
    return ShowExample(Make(rows).examples[0], tokenizer_);
  }
  static std::string Pair(const std::string& answer) {
    return DumpJson(Json{{"prompt", "Q"}, {"completion", answer}}) + "\n";
  }

  ByteTokenizer tokenizer_;
  TempFolder folder_;
  Path path_;
  Rows rows_;
};

TEST_F(AnswerCheckTest, WhiteSpaceIsTheStrictestThatAllRowsHave) {
  const std::string compact = Pair(R"({"label":"card","sure":true})"),
                    spaced = Pair(R"({"label": "card", "sure": true})"),
                    loose = Pair("{ \"label\": \"card\",\n\"sure\" :true}"), wrong = Pair("{ }");
  EXPECT_EQ(CheckOf(compact)->source().space, JsonSpace::kCompact);
  EXPECT_EQ(CheckOf(compact + wrong)->source().space, JsonSpace::kCompact);
  EXPECT_EQ(CheckOf(spaced + spaced)->source().space, JsonSpace::kSpaced);
  EXPECT_EQ(CheckOf(compact + spaced)->source().space, JsonSpace::kFlexible);
  EXPECT_EQ(CheckOf(loose)->source().space, JsonSpace::kFlexible);
  const std::string led = Pair(R"( {"label":"card","sure":true})");
  EXPECT_EQ(CheckOf(led + led + wrong)->source().space, JsonSpace::kCompact);
  EXPECT_EQ(CheckOf(led + led + wrong)->source().before, " ");
  EXPECT_EQ(CheckOf(led + compact)->source().before, "");
  EXPECT_TRUE(Shown(led).ends_with(R"( {"label":"⟦c⟧a⟦r⟧d","sure":⟦t⟧rue}⟦</s>⟧)")) << Shown(led);
  EXPECT_EQ(InputFault([&] { Make(compact + led); }, path_),
            "train.jsonl:2: the answer is not what schema.json allows: at ' "
            "{\"label\":\"card\",\"sure\":true}', byte 1");
}

TEST_F(AnswerCheckTest, AnAnswerThatIsNotAllowedIsToldWithItsPlace) {
  const auto fault = [&](const std::string& row) {
    return InputFault([&] { Make(Pair(R"({"label":"card","sure":true})") + row); }, path_);
  };
  EXPECT_EQ(
      fault(Pair(R"({"label":"cart","sure":true})")),
      R"(train.jsonl:2: the answer is not what schema.json allows: at 't","sure":true}', byte 14)");
  EXPECT_EQ(fault(Pair(R"({"label":"card")")),
            "train.jsonl:2: the answer is not what schema.json allows: it ends too early, behind "
            "byte 15");
  EXPECT_EQ(fault(Pair(R"({"label":"card","sure":true})").insert(1, R"("system": "s", )")), "");
  EXPECT_NE(
      InputFault([&] { Make(R"({"text": "no answer"})"); }, path_).find("needs rows of prompt"),
      std::string::npos);
}

TEST_F(AnswerCheckTest, OnlyTurnsThatAreLearntAreChecked) {
  const std::string row =
      R"({"messages": [{"role": "user", "content": "u"}, )"
      R"({"role": "assistant", "content": "hm", "weight": 0}, {"role": "user", "content": "u"}, )"
      R"({"role": "assistant", "content": "{\"label\":\"loan\",\"sure\":false}"}]})";
  EXPECT_TRUE(
      Shown(row).ends_with("<|im_start|>assistant\n{\"label\":\"⟦l⟧oan\",\"sure\":⟦f⟧alse}"
                           "⟦<|im_end|>⟧\n"))
      << Shown(row);
}

TEST_F(AnswerCheckTest, OnlyTheLastTurnWithLossOnLast) {
  const std::string row =
      R"({"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "Which?"},)"
      R"( {"role": "user", "content": "u"}, )"
      R"({"role": "assistant", "content": "{\"label\":\"loan\",\"sure\":false}\n"}]})";
  rows_ = Rows::Open({{folder_.Write("train.jsonl", row)}});
  const AnswerCheck last(kSchema, "schema.json", rows_, true, tokenizer_);
  last.Check(rows_.Read(0));
  EXPECT_EQ(last.source().space, JsonSpace::kCompact);
  const AnswerCheck all(kSchema, "schema.json", rows_, false, tokenizer_);
  EXPECT_THROW(all.Check(rows_.Read(0)), Error);
}

TEST_F(AnswerCheckTest, AnswersThatAreNotToBeGivenMayBeAnything) {
  ExampleOptions options;
  options.answers = Answers::kJudged;
  const std::string good =
                        R"({"prompt": "Q", "completion": " {\"label\":\"loan\",\"sure\":false}", )",
                    bad = R"({"prompt": "Q", "completion": "loan", )";
  options.answer_check = CheckOf(good + "\"label\": true}\n" + bad + "\"label\": false}\n");
  EXPECT_EQ(options.answer_check->source().before, " ");
  EXPECT_EQ(MakeExamples(rows_, tokenizer_, nullptr, options).examples.size(), 2);
  options.answer_check = CheckOf(bad + "\"label\": true}\n");
  EXPECT_THROW(MakeExamples(rows_, tokenizer_, nullptr, options), Error);
}

TEST_F(AnswerCheckTest, WhiteSpaceThatDiffersIsToldAsSuch) {
  const auto check = CheckOf(Pair(R"({"label":"card","sure":true})"));
  const Rows held_out =
      Rows::Open({{folder_.Write("eval.jsonl", Pair(R"({"label": "card", "sure": true})"))}});
  EXPECT_EQ(InputFault([&] { check->Check(held_out.Read(0)); }, path_),
            "eval.jsonl:1: the answer is not what schema.json allows with the white space of the "
            "other rows: at ' \"card\", \"sure\": true}', byte 10");
}

// A cache of tokens that carry loss by another schema is none of these.
TEST_F(AnswerCheckTest, TheSchemaIsPartOfTheCachesKey) {
  const std::string row = Pair(R"({"label":"cash","sure":true})");
  ThreadPool pool(1);
  ExampleOptions options;
  options.answer_check = CheckOf(row);
  const std::string held = ExampleKey(rows_, tokenizer_, nullptr, options, pool);
  options.answer_check = nullptr;
  EXPECT_NE(ExampleKey(rows_, tokenizer_, nullptr, options, pool), held);
  options.answer_check = std::make_shared<const AnswerCheck>(R"({"type": "object"})", "schema.json",
                                                             rows_, false, tokenizer_);
  EXPECT_NE(ExampleKey(rows_, tokenizer_, nullptr, options, pool), held);
}

TEST_F(AnswerCheckTest, ChoicesAloneCarryLoss) {
  // card and cash part at their third letter.
  EXPECT_TRUE(Shown(Pair(R"({"label":"cash","sure":true})"))
                  .ends_with(R"({"label":"⟦c⟧a⟦s⟧h","sure":⟦t⟧rue}⟦</s>⟧)"))
      << Shown(Pair(R"({"label":"cash","sure":true})"));
}

// A token that reaches into a choice is one, and so is one that a longer token might stand for.
class WordTokenizer : public ByteTokenizer {
 public:
  WordTokenizer() {
    for (const char* text : {"{\"label", "\":", "\":\"", "\":\"c"}) {
      words_.push_back({text, vocab_size()});
      mutable_spec().pieces.push_back({text});
    }
  }
  std::string Bytes(int32_t id, bool special) const override {
    for (const auto& [text, word] : words_)
      if (word == id) return text;
    return ByteTokenizer::Bytes(id, special);
  }
  int32_t Word(size_t index) const { return words_.at(index).second; }

 private:
  std::vector<std::pair<std::string, int32_t>> words_;
};

TEST_F(AnswerCheckTest, TokensAcrossAChoiceAreOnes) {
  const WordTokenizer words;
  path_ = folder_.Write("train.jsonl", Pair(R"({"label":"cash","sure":true})"));
  const AnswerCheck check(kSchema, "schema.json", Rows::Open({{path_}}), false, words);
  const auto left = [&](std::vector<int32_t> ids) {
    Example example;
    example.ids = std::move(ids);
    example.labels = example.ids;
    check.LeaveForced(example);
    return example.labels;
  };
  const int32_t object = words.Word(0), colon = words.Word(1), text = words.Word(2),
                into = words.Word(3);
  EXPECT_EQ(left({object, into, 'a', 's', 'h'}),
            (std::vector<int32_t>{kNoLoss, into, kNoLoss, 's', kNoLoss}));
  EXPECT_EQ(left({object, colon, '"', 'c', 'a', 's'}),
            (std::vector<int32_t>{kNoLoss, kNoLoss, kNoLoss, 'c', kNoLoss, 's'}));
  // `":"` could be `":"c`.
  EXPECT_EQ(left({object, text, 'l', 'o'}), (std::vector<int32_t>{kNoLoss, text, 'l', kNoLoss}));
  // What is no answer of the schema keeps all its loss.
  EXPECT_EQ(left({'h', 'm', '{'}), (std::vector<int32_t>{'h', 'm', '{'}));
}

}  // namespace
}  // namespace retort
