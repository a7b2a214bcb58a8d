// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/sampling/logits_processor.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

constexpr int32_t kEnd = 9;

class LogitsProcessorTest : public testing::Test {
 protected:
  // What becomes of logits 1, -1, 1, -1 ... of ten tokens behind `tokens`.
  std::vector<float> Applied(const std::vector<int32_t>& tokens, size_t answer) {
    std::vector<float> logits(10);
    for (size_t i = 0; i < logits.size(); ++i) logits[i] = i % 2 == 0 ? 1.0f : -1.0f;
    const std::vector<int32_t> ends = {kEnd};
    EXPECT_TRUE(LogitsProcessor::Needed(options_));
    LogitsProcessor(options_, ends, tokenizer_).Apply(tokens, answer, logits);
    return logits;
  }

  ByteTokenizer tokenizer_;
  SamplingOptions options_;
};

TEST_F(LogitsProcessorTest, IsNotNeededForUsualOptions) {
  options_.temperature = 1, options_.top_p = .9, options_.top_k = 5, options_.stop = {"x"};
  options_.repeat_last_n = 64, options_.dry_base = 3;  // of penalties that are off
  EXPECT_FALSE(LogitsProcessor::Needed(options_));
}

TEST_F(LogitsProcessorTest, RepetitionConcernsPromptAndAnswer) {
  options_.repetition_penalty = 2;
  const auto all = Applied({0, 1, 2, 3, 3}, 2);
  EXPECT_EQ(all, (std::vector<float>{.5, -2, .5, -2, 1, -1, 1, -1, 1, -1}));
  options_.repeat_last_n = 3;
  const auto last = Applied({0, 1, 2, 3, 3}, 2);
  EXPECT_EQ(last, (std::vector<float>{1, -1, .5, -2, 1, -1, 1, -1, 1, -1}));
}

TEST_F(LogitsProcessorTest, PresenceAndFrequencyConcernTheAnswer) {
  options_.presence_penalty = .5;
  options_.frequency_penalty = .25;
  // Of 0, 4, 4, 4, 5 the last four are the answer's.
  const auto logits = Applied({0, 4, 4, 4, 5}, 4);
  EXPECT_EQ(logits, (std::vector<float>{1, -1, 1, -1, 1 - .5 - .75, -1 - .5 - .25, 1, -1, 1, -1}));
}

TEST_F(LogitsProcessorTest, BiasesAreAdded) {
  options_.logit_bias = {{2, 5}, {3, -INFINITY}, {500, 1}};
  const auto logits = Applied({0}, 0);
  EXPECT_EQ(logits[2], 6);
  EXPECT_TRUE(std::isinf(logits[3]));
}

TEST_F(LogitsProcessorTest, EndsWaitForMinTokens) {
  options_.min_tokens = 2;
  options_.stop_token_ids = {4};
  EXPECT_TRUE(std::isinf(Applied({0, 1}, 1)[kEnd]));
  EXPECT_TRUE(std::isinf(Applied({0, 1}, 1)[4]));
  EXPECT_EQ(Applied({0, 1, 2}, 2)[kEnd], -1);
  EXPECT_EQ(Applied({0, 1, 2}, 2)[4], 1);
  options_.ignore_eos = true;
  EXPECT_TRUE(std::isinf(Applied({0, 1, 2}, 2)[kEnd]));
  EXPECT_EQ(Applied({0, 1, 2}, 2)[4], 1);  // it was asked for
}

TEST_F(LogitsProcessorTest, SaysSoWhenNoTokenIsLeft) {
  for (int32_t id = 0; id < 10; ++id) options_.logit_bias.emplace_back(id, -INFINITY);
  EXPECT_THROW(Applied({0}, 0), Error);
}

TEST_F(LogitsProcessorTest, DryPenalisesWhatWouldProlongARepetition) {
  options_.dry_multiplier = 1, options_.dry_base = 2;
  options_.dry_sequence_breakers.clear();
  // The end 1 2 3 stood before 4; its end 3 before 5 too, but 1 is too short.
  const auto logits = Applied({1, 2, 3, 4, 8, 3, 5, 1, 2, 3}, 3);
  EXPECT_FLOAT_EQ(logits[4], 1 - 2);  // 2 ^ (3 - 2)
  EXPECT_EQ(logits[5], -1);
  // The same sequence twice: the longest counts.
  const auto twice = Applied({2, 3, 4, 1, 2, 3, 4, 0, 1, 2, 3}, 3);
  EXPECT_FLOAT_EQ(twice[4], 1 - 2);
  options_.dry_allowed_length = 4;
  EXPECT_EQ(Applied({1, 2, 3, 4, 8, 3, 5, 1, 2, 3}, 3)[4], 1);
}

TEST_F(LogitsProcessorTest, DrySequencesEndAtBreakersAndWithinTheLastTokens) {
  const auto ids = [&](const std::string& text) { return tokenizer_.Encode(text, true); };
  options_.dry_multiplier = 1, options_.dry_base = 2;
  const auto penalty = [&](const std::string& text, char next) {
    std::vector<float> logits(static_cast<size_t>(tokenizer_.vocab_size()));
    LogitsProcessor(options_, {}, tokenizer_).Apply(ids(text), 0, logits);
    return -logits[static_cast<size_t>(ids(std::string(1, next))[0])];
  };
  EXPECT_EQ(penalty("abcd.abc", 'd'), 2);
  EXPECT_EQ(penalty("a\nbcd.a\nbc", 'd'), 1);  // bc alone
  EXPECT_EQ(penalty("ab\ncd.ab\nc", 'd'), 0);
  options_.dry_penalty_last_n = 6;  // "cd.abc" has one match of length 1
  EXPECT_EQ(penalty("abcd.abc", 'd'), 0);
  options_.dry_penalty_last_n = -1;
  EXPECT_GT(penalty(std::string(3000, 'a'), 'a'), 1e8);  // bounded
  EXPECT_LE(penalty(std::string(3000, 'a'), 'a'), 1e9);
}

}  // namespace
}  // namespace retort
