// SPDX-License-Identifier: Apache-2.0
// Streams of several adapters on one engine: each says what it says alone with its adapter, and
// nothing of one comes to another.
#include <gtest/gtest.h>

#include <set>

#include "runner/engine/engine.h"
#include "runner/engine/kv_cache.h"
#include "tensor/reference/reference_backend.h"
#include "tests/runner/engine/salted_prompt.h"
#include "tests/support/random_model.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;
using SharedAdapter = std::shared_ptr<const Adapter>;

class EngineAdapters : public testing::Test {
 protected:
  EngineAdapters() {
    model_ = RandomModel(SmallConfig(tokenizer_.vocab_size()), 4, backend_, 3);
    options_.parallel = 8;
    options_.prefill_tokens = 23;
    options_.context = 96;
  }

  // The kinds of adapters in turn.
  SharedAdapter Made(uint64_t seed) {
    AdapterConfig config;
    config.rank = 4, config.alpha = 32;
    if (seed % 4 == 1) config.dora = true;
    if (seed % 4 == 2) config.saved_modules = {"lm_head", "norm"};
    if (seed % 4 == 3) config.tokens = {{"", {5, 42, 7}}};
    return RandomAdapter(config, *model_, seed);
  }
  static GenerationRequest Request(int32_t number) {
    GenerationRequest out;
    out.prompt = SaltedPrompt(number % 8 == 0 ? 70 : 2 + number % 5, number % 16);
    out.sampling.max_tokens = 2 + number % 6;
    if (number % 3 == 0) out.sampling.temperature = 1, out.sampling.seed = 9;
    if (number % 7 == 1) out.pooling = Pooling::kMean;
    if (number % 7 == 2) out.logprobs = 2, out.prompt_logprobs = true;
    return out;
  }

  // All that a request is told.
  struct Told {
    Ids ids;
    std::string text;
    std::vector<float> embedding;
    std::vector<double> logprobs;
    FinishReason finish = FinishReason::kNone;
    int64_t reused = 0;

    bool operator==(const Told& other) const {
      return ids == other.ids && text == other.text && embedding == other.embedding &&
             logprobs == other.logprobs && finish == other.finish;
    }
  };
  static void Add(const GenerationEvent& event, Told& told) {
    told.ids.insert(told.ids.end(), event.ids.begin(), event.ids.end());
    told.text += event.text;
    for (const auto* part : {&event.prompt_logprobs, &event.logprobs}) {
      for (const TokenLogprobs& token : *part) told.logprobs.push_back(token.logprob);
    }
    if (!event.embedding.empty()) told.embedding = event.embedding;
    told.finish = event.finish;
    told.reused = event.reused_tokens;
  }
  static std::vector<Told> All(Engine& engine, std::vector<GenerationRequest> requests) {
    std::vector<Told> told(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      requests[i].on_event = [&told, i](const GenerationEvent& event) {
        Add(event, told[i]);
        return true;
      };
      engine.Submit(std::move(requests[i]));
    }
    while (engine.Step()) {
    }
    return told;
  }
  // With the adapter as the engine's own, and nothing beside it.
  Told Alone(const SharedAdapter& adapter, const GenerationRequest& request) {
    EngineOptions options = options_;
    options.kept_tokens = 0;
    options.draft = {};
    Engine engine(*model_, adapter.get(), tokenizer_, options);
    return All(engine, {request}).front();
  }

  ByteTokenizer tokenizer_;
  ReferenceBackend backend_;
  std::unique_ptr<Model> model_;
  EngineOptions options_;
};

TEST_F(EngineAdapters, MixedRequestsSayWhatEachSaysAlone) {
  constexpr int32_t kAdapters = 8, kRequests = 64;
  std::vector<SharedAdapter> adapters = {nullptr};
  for (uint64_t seed = 0; seed < kAdapters; ++seed) adapters.push_back(Made(seed));
  options_.cache_tokens = 5 * kPageTokens;  // less than they might need: some lose their pages
  std::vector<GenerationRequest> requests;
  std::vector<Told> alone;
  for (int32_t i = 0; i < kRequests; ++i) {
    for (const SharedAdapter& adapter : adapters) {
      alone.push_back(Alone(adapter, Request(i)));
      requests.push_back(Request(i));
      requests.back().adapter = adapter;
    }
  }
  for (const bool guesses : {false, true}) {
    options_.draft.ngram = guesses;
    Engine engine(*model_, nullptr, tokenizer_, options_);
    const std::vector<Told> told = All(engine, requests);
    std::set<std::vector<double>> different;
    for (size_t i = 0; i < told.size(); ++i) {
      EXPECT_TRUE(told[i] == alone[i]) << "request " << i << ", guesses " << guesses;
      different.insert(told[i].logprobs);
    }
    EXPECT_GT(different.size(), static_cast<size_t>(kAdapters));  // they do say different things
    EXPECT_GT(engine.counts().preempted, 0);
    EXPECT_GT(engine.counts().reused_tokens, 0);
  }
}

// Of the same text each adapter has other keys and values.
TEST_F(EngineAdapters, PagesOfAnAdapterAreNobodyElses) {
  Engine engine(*model_, nullptr, tokenizer_, options_);
  const SharedAdapter one = Made(0), other = Made(4);
  GenerationRequest request;
  request.prompt = SaltedPrompt(70, 1);
  request.sampling.max_tokens = 12;
  const auto ask = [&](const SharedAdapter& adapter) {
    request.adapter = adapter;
    const Told told = All(engine, {request}).front();
    EXPECT_TRUE(told == Alone(adapter, request));
    return told.reused;
  };
  EXPECT_EQ(ask(nullptr), 0);
  EXPECT_EQ(ask(one), 0);
  EXPECT_EQ(ask(other), 0);
  EXPECT_EQ(ask(one), 2 * kPageTokens);
  EXPECT_EQ(ask(nullptr), 2 * kPageTokens);
  EXPECT_EQ(ask(other), 2 * kPageTokens);
  // One that comes at an address where another was has its own too.
  EXPECT_EQ(ask(Made(0)), 0);
}

TEST_F(EngineAdapters, AnAdapterLivesAsLongAsItsStreams) {
  Engine engine(*model_, nullptr, tokenizer_, options_);
  const int64_t before = backend_.memory().live_bytes();
  SharedAdapter adapter = Made(0);
  EXPECT_GT(backend_.memory().live_bytes(), before);
  const std::weak_ptr<const Adapter> watched = adapter;
  GenerationRequest request;
  request.prompt = SaltedPrompt(9, 1);
  request.sampling.max_tokens = 6;
  const Told alone = Alone(adapter, request);
  Told told;
  request.on_event = [&](const GenerationEvent& event) {
    Add(event, told);
    return true;
  };
  request.adapter = std::move(adapter);
  engine.Submit(std::move(request));
  engine.Step();
  EXPECT_FALSE(watched.expired());
  while (engine.Step()) {
  }
  EXPECT_TRUE(told == alone);
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(backend_.memory().live_bytes(), before);
}

// Up to 16 tokens in a step a stream's bits do not depend on the others, on any processor.
TEST_F(EngineAdapters, BitsOnAProcessorAreThoseAloneAtAnyThreads) {
  std::vector<std::vector<double>> before;
  for (const int threads : {1, 2}) {
    const auto cpu = MakeCpuBackend(threads, Compute::kF32);
    model_ = RandomModel(SmallConfig(tokenizer_.vocab_size()), 4, *cpu, 3);
    options_.prefill_tokens = 8;
    std::vector<GenerationRequest> requests;
    std::vector<Told> alone;
    for (int32_t i = 0; i < 24; ++i) {
      GenerationRequest request = Request(i);
      request.pooling = Pooling::kNone;
      request.logprobs = 0;
      const SharedAdapter adapter = i % 5 == 4 ? nullptr : Made(static_cast<uint64_t>(i));
      alone.push_back(Alone(adapter, request));
      requests.push_back(std::move(request));
      requests.back().adapter = adapter;
    }
    Engine engine(*model_, nullptr, tokenizer_, options_);
    const std::vector<Told> told = All(engine, requests);
    std::vector<std::vector<double>> logprobs;
    for (size_t i = 0; i < told.size(); ++i) {
      EXPECT_TRUE(told[i] == alone[i]) << "request " << i << ", threads " << threads;
      logprobs.push_back(told[i].logprobs);
    }
    if (!before.empty()) {
      EXPECT_EQ(logprobs, before);
    }
    before = logprobs;
    requests.clear();
    model_.reset();
  }
}

}  // namespace
}  // namespace retort
