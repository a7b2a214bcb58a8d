// SPDX-License-Identifier: Apache-2.0
// The prompt that a line is written with is the prompt that was answered.
#include "train/generate_answers.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/data/support.h"
#include "tests/support/random_model.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

class GenerateAnswersTest : public testing::Test {
 protected:
  GenerateAnswersTest() {
    DenseConfig config = SmallConfig(tokenizer_.vocab_size());
    config.ends = {ByteTokenizer::kEos};
    model_ = RandomModel(config, 4, *backend_, 2);
  }
  Json Line(const std::string& row, int64_t max_positions = 0) {
    if (max_positions > 0) model_->config.max_positions = max_positions;
    const Path out = folder_.path() / "answers.jsonl";
    std::filesystem::remove(out);
    GenerateOptions options;
    options.max_new_tokens = 12;
    options.temperature = 1;
    GenerateAnswers(
        *model_, nullptr, tokenizer_, &chat_,
        Rows::Open({{folder_.Write("rows.jsonl", row)}}, RowFormat::kAuto, Rows::Use::kAsked), out,
        options, {});
    return ParseJson(ReadText(out), "line");
  }
  // The answer to these turns.
  std::string Answer(const std::string& turns) {
    return Line(Cat(R"({"messages": [)", turns, "]}"))["messages"].back()["content"];
  }

  const ByteTokenizer tokenizer_;
  const ChatTemplate chat_ = ChatTemplate::Named("chatml");
  std::unique_ptr<Backend> backend_ = MakeReferenceBackend();
  std::unique_ptr<Model> model_;
  TempFolder folder_;
};

constexpr const char* kOne = R"({"role": "user", "content": "one"})";
constexpr const char* kA1 = R"(, {"role": "assistant", "content": "A1"})";
constexpr const char* kTwo = R"(, {"role": "user", "content": "two"})";
constexpr const char* kA2 = R"(, {"role": "assistant", "content": "A2"})";

TEST_F(GenerateAnswersTest, ARowThatEndsWithTheUserIsAnsweredWhole) {
  const std::string asked = Answer(Cat(kOne, kA1, kTwo));
  EXPECT_EQ(asked, Answer(Cat(kOne, kA1, kTwo, kA2)));
  EXPECT_NE(asked, Answer(kOne));
}

TEST_F(GenerateAnswersTest, SeveralTurnsAtTheEndAreOneAnswer) {
  EXPECT_EQ(Answer(Cat(kOne, kA1, kA2)), Answer(kOne));
}

TEST_F(GenerateAnswersTest, RowsMayBePromptsAlone) {
  const Json line = Line(R"({"prompt": "one"})");
  EXPECT_EQ(line["prompt"], "one");
  EXPECT_EQ(line["completion"], Line(R"({"prompt": "one", "completion": "x"})")["completion"]);
}

TEST_F(GenerateAnswersTest, APromptThatFillsTheContextIsNamed) {
  EXPECT_NE(InputFault([&] {
              Line(R"({"prompt": "a prompt of many bytes"})", 16);
            }).find("rows.jsonl:1: the prompt's 24 tokens leave no room"),
            std::string::npos);
}

}  // namespace
}  // namespace retort
