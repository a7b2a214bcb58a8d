// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/logprobs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "runner/engine/engine.h"
#include "tests/support/random_model.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;

TEST(Logprobs, AreTheLogSoftmaxAndTheLargest) {
  const std::vector<float> logits = {1, 3, 2, 3, -2};
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  const TokenLogprobs token = LogprobsOf(logits, 2, 3);
  EXPECT_EQ(token.id, 2);
  EXPECT_NEAR(token.logprob, 2 - std::log(sum), 1e-12);
  ASSERT_EQ(token.top.size(), 3u);
  EXPECT_EQ(token.top[0].first, 1);  // of equals the lowest id first
  EXPECT_EQ(token.top[1].first, 3);
  EXPECT_EQ(token.top[2].first, 2);
  EXPECT_NEAR(token.top[0].second, 3 - std::log(sum), 1e-12);
  EXPECT_TRUE(LogprobsOf(logits, 0, 0).top.empty());
  EXPECT_EQ(LogprobsOf(logits, 0, 99).top.size(), 5u);
  double all = 0;
  for (const auto& [id, logprob] : LogprobsOf(logits, 0, 5).top) all += std::exp(logprob);
  EXPECT_NEAR(all, 1, 1e-12);
}

// A random model in double, and what it says of a text when asked the slow way.
class EngineLogprobs : public testing::Test {
 protected:
  std::vector<float> LogitsBehind(const Ids& ids) {
    Batch batch;
    batch.AddRow(ids, 0);
    Context context{*backend_};
    const Var hidden = model_->Hidden(context, {batch});
    return backend_->ToFloats(
        model_->Logits(context, nullptr, hidden, {static_cast<int32_t>(ids.size()) - 1}));
  }
  std::vector<GenerationEvent> Events(GenerationRequest request, const EngineOptions& options) {
    std::vector<GenerationEvent> events;
    request.on_event = [&](const GenerationEvent& event) {
      events.push_back(event);
      return true;
    };
    Engine engine(*model_, nullptr, tokenizer_, options);
    engine.Submit(request);
    while (engine.Step()) {
    }
    return events;
  }
  static Ids Prompt(int32_t size) {
    Ids ids = {ByteTokenizer::kBos};
    for (int32_t i = 1; i < size; ++i) ids.push_back(i * 37 % 200);
    return ids;
  }

  ByteTokenizer tokenizer_;
  std::unique_ptr<Backend> backend_ = MakeReferenceBackend();
  std::unique_ptr<Model> model_ =
      RandomModel(SmallConfig(tokenizer_.vocab_size()), 4, *backend_, 3);
};

TEST_F(EngineLogprobs, AreThoseOfTheModelWhateverTheOptions) {
  GenerationRequest request{Prompt(9), {}, {}};
  request.logprobs = 2;
  request.sampling.max_tokens = 8;
  request.sampling.temperature = 3;
  request.sampling.logit_bias = {{65, 9.0f}};
  request.sampling.repetition_penalty = 1.5;
  Ids ids = request.prompt;
  for (const GenerationEvent& event : Events(request, {})) {
    ASSERT_EQ(event.logprobs.size(), event.ids.size());
    for (const TokenLogprobs& token : event.logprobs) {
      const TokenLogprobs expected = LogprobsOf(LogitsBehind(ids), token.id, 2);
      EXPECT_NEAR(token.logprob, expected.logprob, 1e-5);
      EXPECT_EQ(token.top[0].first, expected.top[0].first);
      EXPECT_EQ(token.top.size(), 2u);
      ids.push_back(token.id);
    }
  }
  EXPECT_GT(ids.size(), 10u);
}

TEST_F(EngineLogprobs, OfThePromptNeedNoTokenAndNoOtherRequest) {
  GenerationRequest request{Prompt(75), {}, {}};
  request.logprobs = 1;
  request.prompt_logprobs = true;
  request.sampling.max_tokens = 0;
  EngineOptions pieces;
  pieces.prefill_tokens = 20;
  for (const EngineOptions& options : {EngineOptions(), pieces}) {
    const auto events = Events(request, options);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_TRUE(events[0].ids.empty());
    ASSERT_EQ(events[0].prompt_logprobs.size(), 74u);
    for (const size_t at : {size_t{1}, size_t{19}, size_t{20}, size_t{21}, size_t{74}}) {
      const Ids before(request.prompt.begin(), request.prompt.begin() + static_cast<int64_t>(at));
      const TokenLogprobs& token = events[0].prompt_logprobs[at - 1];
      EXPECT_EQ(token.id, request.prompt[at]);
      EXPECT_NEAR(token.logprob, LogprobsOf(LogitsBehind(before), token.id, 0).logprob, 1e-5);
    }
  }
}

TEST_F(EngineLogprobs, EmbeddingsAreTheHiddenStatesPooled) {
  const Ids prompt = Prompt(70);
  Batch batch;
  batch.AddRow(prompt, 0);
  Context context{*backend_};
  const auto hidden = backend_->ToFloats(model_->Hidden(context, {batch}).value);
  const auto width = static_cast<size_t>(model_->config.width);
  EngineOptions pieces;
  pieces.prefill_tokens = 32;
  for (const Pooling pooling : {Pooling::kMean, Pooling::kLast}) {
    std::vector<double> expected(width);
    for (size_t row = pooling == Pooling::kMean ? 0 : prompt.size() - 1; row < prompt.size(); ++row)
      for (size_t i = 0; i < width; ++i) expected[i] += hidden[row * width + i];
    const double length =
        std::sqrt(std::inner_product(expected.begin(), expected.end(), expected.begin(), 0.0));
    GenerationRequest request{prompt, {}, {}};
    request.pooling = pooling;
    const auto events = Events(request, pieces);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].finish, FinishReason::kStop);
    ASSERT_EQ(events[0].embedding.size(), width);
    for (size_t i = 0; i < width; ++i)
      EXPECT_NEAR(events[0].embedding[i], expected[i] / length, 1e-5);
  }
}

}  // namespace
}  // namespace retort
