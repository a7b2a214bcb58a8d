// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/constrained_answer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "base/strings.h"
#include "grammar/compile.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

TEST(ConstrainedAnswer, AnEndWithATextOfItsOwnIsNoPartOfTheAnswer) {
  const auto words = std::make_shared<const Vocabulary>(ByteTokenizer());
  ConstrainedAnswer answer(
      {CompileGrammar({GrammarSource::Kind::kRegex, "\"[a-z]*\""}, "test", words)});
  const std::vector<int32_t> ends = {'e', -1, ByteTokenizer::kEos};
  const auto allows = [&](int32_t id) {
    std::vector<float> logits(static_cast<size_t>(words->size()));
    answer.Mask(logits, ends);
    return std::isfinite(logits[static_cast<size_t>(id)]);
  };
  answer.Accept('"');
  EXPECT_TRUE(allows('a'));
  EXPECT_FALSE(allows('e'));
  EXPECT_FALSE(allows(ByteTokenizer::kEos));
  answer.Accept('"');
  EXPECT_TRUE(allows('e'));
  EXPECT_TRUE(allows(ByteTokenizer::kEos));
}

TEST(ConstrainedAnswer, CountsWhatMayFollowAndReadsNone) {
  const auto words = std::make_shared<const Vocabulary>(ByteTokenizer());
  ConstrainedAnswer answer({CompileGrammar({GrammarSource::Kind::kRegex, "ab*c"}, "test", words)});
  const auto count = [&](const std::string& text) {
    return answer.CountAllowed(std::vector<int32_t>(text.begin(), text.end()));
  };
  EXPECT_EQ(count("abbc"), 4u);
  EXPECT_EQ(count("abbcb"), 4u) << "it has ended";
  EXPECT_EQ(count("abax"), 2u);
  EXPECT_EQ(count(""), 0u);
  EXPECT_EQ(answer.CountAllowed(std::vector<int32_t>{'a', ByteTokenizer::kEos, 'b'}), 1u);
  answer.Accept('a');
  EXPECT_EQ(count("bbx"), 2u);
  // A thought is free.
  const ConstrainedAnswer thinking(
      {CompileGrammar({GrammarSource::Kind::kRegex, "ab"}, "x", words), true, "</think>"});
  EXPECT_EQ(thinking.CountAllowed(std::vector<int32_t>{'z', 'z'}), 2u);
}

TEST(ConstrainedAnswer, CountingTakesFewStepsAndDoesNotWearTheGrammar) {
  const auto words = std::make_shared<const Vocabulary>(ByteTokenizer());
  // Behind each "a", two thousand ways to go on.
  std::string text = "root ::= \"z\" | \"a\" root \"y\"";
  for (int i = 0; i < 2000; ++i) text += Cat(" | \"b", i, "\" root \"y\"");
  const auto grammar = CompileGrammar({GrammarSource::Kind::kGbnf, text}, "test", words);
  ConstrainedAnswer answer({grammar});
  EXPECT_EQ(answer.CountAllowed(std::vector<int32_t>(3, 'a')), 3u);
  EXPECT_EQ(answer.CountAllowed(std::vector<int32_t>(40, 'a')), std::nullopt);
  EXPECT_FALSE(grammar->worn());
  for (int i = 0; i < 40; ++i) answer.Accept('a');
  EXPECT_FALSE(grammar->worn()) << "the answer itself goes as far";
}

}  // namespace
}  // namespace retort
