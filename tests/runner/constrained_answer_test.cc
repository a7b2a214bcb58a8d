// SPDX-License-Identifier: Apache-2.0
#include "runner/constrained_answer.h"

#include <gtest/gtest.h>

#include <cmath>

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

}  // namespace
}  // namespace retort
