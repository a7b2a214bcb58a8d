// SPDX-License-Identifier: Apache-2.0
// Where a stream ends by its options: min_tokens, ignore_eos, stop_token_ids, max_tokens 0.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "grammar/compile.h"
#include "runner/engine/engine.h"
#include "tests/support/random_model.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;

class EngineEnds : public testing::Test {
 protected:
  EngineEnds() : model_(RandomModel(SmallConfig(tokenizer_.vocab_size()), 4, *backend_, 3)) {
    model_->config.ends = {300};  // none that it ever says
    free_ = Said({}).ids;
    // The first token that it says for the first time behind some others.
    place_ = 3;
    while (std::count(free_.begin(), free_.begin() + place_, free_[Place()]) > 0) ++place_;
  }

  Generation Said(SamplingOptions sampling) {
    if (sampling.max_tokens == 256) sampling.max_tokens = 30;
    Engine engine(*model_, nullptr, tokenizer_, {});
    return Generate(engine, {ByteTokenizer::kBos, 5, 7}, sampling);
  }
  size_t Place() const { return static_cast<size_t>(place_); }
  Ids Before() const { return {free_.begin(), free_.begin() + place_}; }

  ByteTokenizer tokenizer_;
  std::unique_ptr<Backend> backend_ = MakeReferenceBackend();
  std::unique_ptr<Model> model_;
  Ids free_;
  std::ptrdiff_t place_ = 0;
};

TEST_F(EngineEnds, AtStopTokenIdsEvenWhereEndsAreIgnored) {
  SamplingOptions options;
  options.stop_token_ids = {free_[Place()]};
  EXPECT_EQ(Said(options).ids, Before());
  options.ignore_eos = true;
  EXPECT_EQ(Said(options).ids, Before());
  EXPECT_EQ(Said(options).finish, FinishReason::kStop);
}

TEST_F(EngineEnds, NowhereWithIgnoreEos) {
  model_->config.ends = {free_[Place()]};
  EXPECT_EQ(Said({}).ids, Before());
  SamplingOptions options;
  options.ignore_eos = true;
  const Generation said = Said(options);
  EXPECT_EQ(said.ids.size(), 30u);
  EXPECT_EQ(said.finish, FinishReason::kLength);
  EXPECT_EQ(std::ranges::count(said.ids, free_[Place()]), 0);
}

TEST_F(EngineEnds, NotBeforeMinTokens) {
  model_->config.ends = {free_[Place()]};
  SamplingOptions options;
  options.min_tokens = place_ + 1;
  const Generation said = Said(options);
  EXPECT_GT(std::ssize(said.ids), place_);
  EXPECT_EQ(Ids(said.ids.begin(), said.ids.begin() + place_), Before());
  // A stop text that is complete before does not end it either.
  const std::string text = Said({}).text;
  ASSERT_GE(text.size(), 2u);
  SamplingOptions stopped;
  stopped.stop = {text.substr(0, 1)};
  stopped.min_tokens = 2;
  EXPECT_EQ(Said(stopped).text.substr(0, 1), text.substr(0, 1));
}

TEST_F(EngineEnds, AtOnceWithoutTokens) {
  SamplingOptions options;
  options.max_tokens = 0;
  const Generation said = Said(options);
  EXPECT_TRUE(said.ids.empty());
  EXPECT_TRUE(said.text.empty());
  EXPECT_EQ(said.finish, FinishReason::kLength);
}

TEST_F(EngineEnds, AreTheGrammarsWhereThereIsOne) {
  const auto vocabulary = std::make_shared<const Vocabulary>(tokenizer_);
  GenerationRequest request{{ByteTokenizer::kBos, 5}, {}, {}};
  request.constraint.grammar =
      CompileGrammar({GrammarSource::Kind::kRegex, "a+"}, "a regex", vocabulary);
  request.sampling.ignore_eos = true;
  Engine engine(*model_, nullptr, tokenizer_, {});
  EXPECT_THROW(engine.Submit(request), Error);
  request.sampling.ignore_eos = false;
  engine.Submit(request);
}

}  // namespace
}  // namespace retort
