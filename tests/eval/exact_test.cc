// SPDX-License-Identifier: Apache-2.0
#include "eval/exact.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/eval/support.h"

namespace retort {
namespace {

class ExactTest : public testing::Test {
 protected:
  // Declares the first new token of what the model says to be its end, so that it ends by itself,
  // and gives the text that it says until then.
  std::string SaidUntilTheEnd() {
    const std::vector<int32_t> ids = world_.Greedy(prompt_, 40);
    size_t at = 3;
    const auto known = [&] {
      return std::find(ids.begin(), ids.begin() + at, ids[at]) != ids.begin() + at;
    };
    while (at + 1 < ids.size() && known()) ++at;
    world_.model->config.ends = {ids[at]};
    StreamDecoder decoder(world_.tokenizer);
    std::string text;
    for (size_t i = 0; i < at; ++i) text += decoder.Push(ids[i]);
    return text + decoder.Flush();
  }
  ExactResult Evaluate(const std::vector<Answer>& answers, const QuestionOptions& options = {}) {
    return EvaluateExact(*world_.model, nullptr, world_.tokenizer, nullptr, answers, options);
  }

  SmallWorld world_{9};
  const std::vector<int32_t> prompt_ = world_.tokenizer.EncodePrompt("a prompt");
};

TEST_F(ExactTest, ComparesWithoutWhiteSpaceAround) {
  const std::string bare(Strip(SaidUntilTheEnd()));
  ASSERT_GT(bare.size(), 1u);
  const std::vector<Answer> answers = {{"right", prompt_, bare},
                                       {"padded", prompt_, " \n" + bare + "\t "},
                                       {"longer", prompt_, bare + "x"},
                                       {"shorter", prompt_, bare.substr(0, bare.size() - 1)},
                                       {"other", prompt_, "x" + bare}};
  QuestionOptions options;
  options.parallel = 2;
  const ExactResult result = Evaluate(answers, options);
  EXPECT_EQ(result.matched, (std::vector<bool>{true, true, false, false, false}));
  EXPECT_EQ(result.matches, 2);
  EXPECT_EQ(result.rows, 5);
  EXPECT_DOUBLE_EQ(result.share(), 0.4);
}

TEST_F(ExactTest, StopsAsSoonAsItCannotMatch) {
  const ExactResult result = Evaluate({{"row", prompt_, std::string(60, '~')}});
  EXPECT_EQ(result.matches, 0);
  EXPECT_LT(result.tokens, 12);
}

TEST_F(ExactTest, LongRowsAreRefusedOrLeftOut) {
  const std::vector<Answer> answers = {{"short", {ByteTokenizer::kBos}, "a"},
                                       {"long", prompt_, std::string(60, 'a')}};
  QuestionOptions options;
  options.max_tokens = 40;
  EXPECT_THROW(Evaluate(answers, options), Error);
  options.over_length = OverLength::kDrop;
  const ExactResult result = Evaluate(answers, options);
  EXPECT_EQ(result.rows, 1);
  EXPECT_EQ(result.dropped, 1);
}

}  // namespace
}  // namespace retort
