// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/engine.h"

#include <gtest/gtest.h>

#include <map>

#include "runner/engine/kv_cache.h"
#include "tests/runner/engine/faulty_backend.h"
#include "tests/runner/engine/salted_prompt.h"
#include "tests/support/random_model.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;

// A random model over bytes, in double, and what it says when asked the slow way.
class EngineTest : public testing::Test {
 protected:
  EngineTest() { Make(4); }

  void Make(uint64_t seed, int64_t window = 0) {
    DenseConfig config = SmallConfig(tokenizer_.vocab_size());
    config.window = window;
    model_ = RandomModel(config, seed, *backend_, 3);
  }

  // The whole text through the training forward for every token.
  Ids Slowly(Ids ids, int64_t tokens, const SamplingOptions& sampling = {}) {
    Ids out;
    for (int64_t i = 0; i < tokens; ++i) {
      Batch batch;
      batch.AddRow(ids, 0);
      Context context{*backend_};
      const Var hidden = model_->Hidden(context, {batch});
      const auto logits = backend_->ToFloats(
          model_->Logits(context, nullptr, hidden, {static_cast<int32_t>(ids.size()) - 1}));
      out.push_back(Sampler().Sample(logits, sampling, ids.size()));
      ids.push_back(out.back());
    }
    return out;
  }

  static SamplingOptions Most(int64_t tokens) {
    SamplingOptions o;
    o.max_tokens = tokens;
    return o;
  }
  // Runs all requests at once and gathers what each was told.
  std::vector<Generation> All(Engine& engine, std::vector<GenerationRequest> requests) {
    std::vector<Generation> out(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      requests[i].on_event = [&out, i](const GenerationEvent& e) {
        EXPECT_EQ(out[i].finish, FinishReason::kNone) << "an event after the end";
        out[i].text += e.text;
        out[i].ids.insert(out[i].ids.end(), e.ids.begin(), e.ids.end());
        out[i].finish = e.finish;
        EXPECT_EQ(e.error != nullptr, e.finish == FinishReason::kFailed);
        return true;
      };
      engine.Submit(std::move(requests[i]));
    }
    while (engine.Step()) {
    }
    return out;
  }

  ByteTokenizer tokenizer_;
  std::unique_ptr<Backend> backend_ = std::make_unique<FaultyBackend>(tokenizer_.vocab_size());
  std::unique_ptr<Model> model_;
};

TEST_F(EngineTest, SaysWhatTheTrainingForwardSays) {
  Engine engine(*model_, nullptr, tokenizer_, {});
  const Generation g = Generate(engine, SaltedPrompt(10, 1), Most(40));
  EXPECT_EQ(g.ids, Slowly(SaltedPrompt(10, 1), 40));
  EXPECT_EQ(g.finish, FinishReason::kLength);
  EXPECT_EQ(engine.counts().cached_tokens, 0);
  EXPECT_EQ(engine.counts().generated_tokens, 40);
}

TEST_F(EngineTest, ManyStreamsSayWhatEachSaysAlone) {
  for (const int64_t window : {0, 6}) {
    Make(5, window);
    EngineOptions options;
    options.parallel = 3;
    options.prefill_tokens = 7;  // prompts are read in pieces while others speak
    options.context = 128;
    options.cache_tokens = 6 * kPageTokens;  // less than three of them might need
    Engine engine(*model_, nullptr, tokenizer_, options);
    std::vector<GenerationRequest> requests;
    std::vector<Ids> expected;
    for (int32_t i = 0; i < 8; ++i) {
      SamplingOptions sampling = Most(5 + 3 * i);
      if (i % 2)
        sampling.temperature = 0.8, sampling.top_p = 0.9, sampling.seed = static_cast<uint64_t>(i);
      requests.push_back({SaltedPrompt(1 + 9 * i, i), sampling, {}});
      expected.push_back(Slowly(SaltedPrompt(1 + 9 * i, i), sampling.max_tokens, sampling));
    }
    const auto got = All(engine, std::move(requests));
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].ids, expected[i]) << "stream " << i << ", window " << window;
      EXPECT_EQ(got[i].finish, FinishReason::kLength);
    }
    EXPECT_EQ(engine.counts().live + engine.counts().queued + engine.counts().cached_tokens, 0);
  }
}

TEST_F(EngineTest, StopsAtEveryEndAndLeavesItOut) {
  const Ids free = Slowly(SaltedPrompt(10, 1), 30);
  // The first token from place 5 on that was not said before.
  size_t at = 5;
  while (std::find(free.begin(), free.begin() + static_cast<int64_t>(at), free[at]) !=
         free.begin() + static_cast<int64_t>(at))
    ++at;
  const Ids before(free.begin(), free.begin() + static_cast<int64_t>(at));
  model_->config.ends = {free[at], 299};
  {
    Engine engine(*model_, nullptr, tokenizer_, {});
    const Generation g = Generate(engine, SaltedPrompt(10, 1), Most(30));
    EXPECT_EQ(g.ids, before);
    EXPECT_EQ(g.finish, FinishReason::kStop);
  }
  model_->config.ends = {};
  tokenizer_.mutable_spec().eos = free[at];
  {
    Engine engine(*model_, nullptr, tokenizer_, {});
    EXPECT_EQ(Generate(engine, SaltedPrompt(10, 1), Most(30)).ids, before);
  }
  tokenizer_.mutable_spec().eos = ByteTokenizer::kEos;
  SamplingOptions sampling = Most(30);
  sampling.stop_ids = {free[at]};
  Engine engine(*model_, nullptr, tokenizer_, {});
  EXPECT_EQ(Generate(engine, SaltedPrompt(10, 1), sampling).ids, before);
}

TEST_F(EngineTest, StopTextsEndItAndAreNeverShown) {
  Engine engine(*model_, nullptr, tokenizer_, {});
  const Generation free = Generate(engine, SaltedPrompt(12, 2), Most(60));
  ASSERT_GT(free.text.size(), 20u);
  // Whole characters of the middle of what it says without stops.
  size_t begin = free.text.size() / 2, size = 4;
  const auto continues = [&](size_t i) {
    return i < free.text.size() && (free.text[i] & 0xc0) == 0x80;
  };
  while (continues(begin)) ++begin;
  while (continues(begin + size)) ++size;
  SamplingOptions sampling = Most(60);
  sampling.stop = {"never said", free.text.substr(begin, size)};
  std::string streamed;
  const Generation g =
      Generate(engine, SaltedPrompt(12, 2), sampling, [&](const GenerationEvent& e) {
        streamed += e.text;
        EXPECT_EQ(free.text.find(streamed), 0u);
        return true;
      });
  EXPECT_EQ(g.finish, FinishReason::kStop);
  EXPECT_EQ(g.text, free.text.substr(0, free.text.find(sampling.stop[1])));
  EXPECT_LT(g.ids.size(), free.ids.size());
}

TEST_F(EngineTest, EndsWhereTheContextDoes) {
  EngineOptions options;
  options.context = 16;
  Engine engine(*model_, nullptr, tokenizer_, options);
  const Generation g = Generate(engine, SaltedPrompt(10, 1), Most(100));
  EXPECT_EQ(g.ids, Slowly(SaltedPrompt(10, 1), 6));
  EXPECT_EQ(g.finish, FinishReason::kLength);
  EXPECT_EQ(Generate(engine, SaltedPrompt(15, 1), Most(100)).ids.size(), 1u);
}

TEST_F(EngineTest, RefusesWhatItCannotServe) {
  EngineOptions options;
  options.context = 16;
  Engine engine(*model_, nullptr, tokenizer_, options);
  const auto refused = [&](Ids prompt, SamplingOptions sampling) {
    try {
      engine.Submit({std::move(prompt), sampling, {}});
    } catch (const Error& e) {
      return e.kind() == Error::Kind::kInput;
    }
    return false;
  };
  EXPECT_TRUE(refused({}, {}));
  EXPECT_TRUE(refused({-1}, {}));
  EXPECT_TRUE(refused({tokenizer_.vocab_size()}, {}));
  EXPECT_TRUE(refused(SaltedPrompt(16, 1), {}));
  EXPECT_TRUE(refused({1}, Most(-1)));
  for (const int64_t position : {-1, 2}) {
    GenerationRequest scores{{1, 2}, Most(0), {}};
    scores.scores = {{position, 5}};
    EXPECT_THROW(engine.Submit(std::move(scores)), Error) << position;
  }
  EXPECT_FALSE(engine.Step());
  EngineOptions small;  // the cache is smaller than the context
  small.cache_tokens = 40;
  Engine cached(*model_, nullptr, tokenizer_, small);
  EXPECT_THROW(cached.Submit({SaltedPrompt(40, 1), Most(1), {}}), Error);
  EXPECT_EQ(Generate(cached, SaltedPrompt(39, 1), Most(9)).ids.size(), 1u);
  for (const int64_t parallel : {int64_t{0}, int64_t{-1}, std::numeric_limits<int64_t>::max()}) {
    EngineOptions many;
    many.parallel = parallel;
    EXPECT_THROW(Engine(*model_, nullptr, tokenizer_, many), Error);
  }
  EngineOptions large;
  large.context = model_->config.max_positions + 1;
  EXPECT_THROW(Engine(*model_, nullptr, tokenizer_, large), Error);
}

// Each needs three pages at its end, and all have four.
TEST_F(EngineTest, APreemptedStreamSaysWhatItSaysAlone) {
  for (const int64_t window : {0, 6}) {
    Make(6, window);
    model_->config.ends = {tokenizer_.vocab_size() + 7};  // none that it could say
    EngineOptions options;
    options.parallel = 3;
    options.context = 4 * kPageTokens;
    options.cache_tokens = 4 * kPageTokens;
    Engine engine(*model_, nullptr, tokenizer_, options);
    std::vector<GenerationRequest> requests;
    std::vector<Ids> expected;
    for (int32_t i = 0; i < 4; ++i) {
      SamplingOptions sampling = Most(50);
      sampling.temperature = 0.8, sampling.seed = static_cast<uint64_t>(i);
      requests.push_back({SaltedPrompt(25 + i, i), sampling, {}});
      expected.push_back(Slowly(SaltedPrompt(25 + i, i), 50, sampling));
    }
    const auto got = All(engine, std::move(requests));
    for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i].ids, expected[i]) << i;
    EXPECT_GT(engine.counts().preempted, 0);
    EXPECT_EQ(engine.counts().prompt_tokens, 25 + 26 + 27 + 28);
    EXPECT_EQ(engine.counts().generated_tokens, 200);
  }
}

// What an earlier request has left in the cache, or one beside it, does not change what is said.
TEST_F(EngineTest, APromptThatIsInTheCacheSaysWhatItSaysAlone) {
  std::vector<GenerationRequest> requests;
  std::vector<Ids> alone;
  for (int32_t i = 0; i < 12; ++i) {
    Ids prompt = SaltedPrompt(100 + 7 * i, 0);  // longer and longer beginnings of one text
    if (i % 3 == 0) prompt[70] = 3;             // but for these
    requests.push_back({prompt, Most(12), {}});
    EngineOptions options;
    options.kept_tokens = 0;
    Engine engine(*model_, nullptr, tokenizer_, options);
    alone.push_back(Generate(engine, prompt, Most(12)).ids);
    EXPECT_EQ(engine.counts().reused_tokens, 0);
  }
  EngineOptions options;
  options.parallel = 3;
  options.cache_tokens = 12 * kPageTokens;
  Engine engine(*model_, nullptr, tokenizer_, options);
  for (int round = 0; round < 2; ++round) {
    const std::vector<Generation> said = All(engine, requests);
    for (size_t i = 0; i < said.size(); ++i) EXPECT_EQ(said[i].ids, alone[i]) << i;
  }
  EXPECT_GT(engine.counts().reused_tokens, engine.counts().prompt_tokens / 3);
  EXPECT_EQ(engine.counts().cached_tokens, 0);  // of live streams
}

// A dynamic rope turns by how long the request may grow.
TEST_F(EngineTest, KeysOfARopeThatDependsOnTheLengthAreNobodyElses) {
  RopeScaling& scaling = model_->config.ropes[0].scaling;
  scaling.kind = RopeScaling::Kind::kDynamic;
  scaling.factor = 8;
  scaling.original_max_positions = 60;
  const Ids prompt = SaltedPrompt(100, 0);
  Engine alone(*model_, nullptr, tokenizer_, {}), both(*model_, nullptr, tokenizer_, {});
  const Ids said = Generate(alone, prompt, Most(30)).ids;
  Generate(both, prompt, Most(1));
  EXPECT_EQ(Generate(both, prompt, Most(30)).ids, said);
  EXPECT_EQ(both.counts().reused_tokens, 0);
}

TEST_F(EngineTest, AShortPromptSpeaksInItsFirstStepBesideLongOnes) {
  EngineOptions options;
  options.prefill_tokens = 32;
  Engine engine(*model_, nullptr, tokenizer_, options);
  for (int32_t i = 0; i < 5; ++i) engine.Submit({SaltedPrompt(200, i), Most(3), {}});
  engine.Step();
  Ids said;
  engine.Submit({SaltedPrompt(5, 9), Most(3), [&](const GenerationEvent& e) {
                   said.insert(said.end(), e.ids.begin(), e.ids.end());
                   return true;
                 }});
  engine.Step();
  EXPECT_EQ(said, Slowly(SaltedPrompt(5, 9), 1));
}

// What one stream's numbers are ends that stream alone.
TEST_F(EngineTest, AStreamWhoseLogitsAreNotNumbersFailsAlone) {
  EngineOptions options;
  options.parallel = 2;
  Engine engine(*model_, nullptr, tokenizer_, options);
  Ids odd = SaltedPrompt(8, 2);
  odd[4] = FaultyBackend::kNotANumber;
  const auto got = All(engine, {{SaltedPrompt(10, 1), Most(12), {}},
                                {odd, Most(12), {}},
                                {SaltedPrompt(6, 3), Most(12), {}},
                                {odd, Most(12), {}},
                                {SaltedPrompt(7, 4), Most(12), {}}});
  for (const size_t i : {1, 3}) {
    EXPECT_EQ(got[i].finish, FinishReason::kFailed);
    EXPECT_TRUE(got[i].ids.empty());
  }
  EXPECT_EQ(got[0].ids, Slowly(SaltedPrompt(10, 1), 12));
  EXPECT_EQ(got[2].ids, Slowly(SaltedPrompt(6, 3), 12));
  EXPECT_EQ(got[4].ids, Slowly(SaltedPrompt(7, 4), 12));
  EXPECT_EQ(engine.counts().live + engine.counts().queued, 0);
  EXPECT_THROW(Generate(engine, odd, Most(2)), Error);
}

// A failed pass ends the streams that were in it. Those that wait are served.
TEST_F(EngineTest, AFailedStepEndsThoseThatWereInIt) {
  EngineOptions options;
  options.parallel = 2;
  Engine engine(*model_, nullptr, tokenizer_, options);
  Ids fails = SaltedPrompt(4, 2);
  fails[2] = FaultyBackend::kFails;
  const auto got = All(engine, {{SaltedPrompt(10, 1), Most(12), {}},
                                {fails, Most(12), {}},
                                {SaltedPrompt(6, 3), Most(12), {}},
                                {SaltedPrompt(7, 4), Most(12), {}}});
  EXPECT_EQ(got[0].finish, FinishReason::kFailed);  // in the same step
  EXPECT_EQ(got[1].finish, FinishReason::kFailed);
  EXPECT_EQ(got[2].ids, Slowly(SaltedPrompt(6, 3), 12));
  EXPECT_EQ(got[3].ids, Slowly(SaltedPrompt(7, 4), 12));
  EXPECT_EQ(engine.counts().cached_tokens, 0);
  try {
    Generate(engine, fails, Most(2));
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "the device failed");
  }
}

TEST_F(EngineTest, CancelFreesPagesAtOnceAndSaysNothingMore) {
  EngineOptions options;
  options.parallel = 1;
  options.context = 2 * kPageTokens;
  options.cache_tokens = 2 * kPageTokens;
  Engine engine(*model_, nullptr, tokenizer_, options);
  int first_events = 0;
  const auto first = engine.Submit({SaltedPrompt(20, 1), Most(40),
                                    [&](const GenerationEvent&) { return ++first_events, true; }});
  Generation second;
  engine.Submit({SaltedPrompt(20, 2), Most(40), [&](const GenerationEvent& e) {
                   second.ids.insert(second.ids.end(), e.ids.begin(), e.ids.end());
                   return true;
                 }});
  for (int i = 0; i < 3; ++i) engine.Step();
  EXPECT_EQ(first_events, 3);
  EXPECT_TRUE(second.ids.empty());
  const int64_t cached = engine.counts().cached_tokens;
  engine.Cancel(first);
  engine.Cancel(first);
  engine.Cancel(12345);
  EXPECT_EQ(engine.counts().cached_tokens, cached - 22);
  while (engine.Step()) {
  }
  EXPECT_EQ(first_events, 3);
  EXPECT_EQ(second.ids, Slowly(SaltedPrompt(20, 2), 40));
}

TEST_F(EngineTest, AnEventHandlerMayCancelAndSubmit) {
  Engine engine(*model_, nullptr, tokenizer_, {});
  int a_events = 0, b_events = 0;
  Ids later;
  Engine::RequestId a = 0, b = 0;
  a = engine.Submit({SaltedPrompt(5, 1), Most(20), [&](const GenerationEvent&) {
                       if (++a_events < 3) return true;
                       engine.Cancel(b);
                       engine.Cancel(a);
                       engine.Submit({SaltedPrompt(5, 3), Most(4), [&](const GenerationEvent& e) {
                                        later.insert(later.end(), e.ids.begin(), e.ids.end());
                                        return true;
                                      }});
                       return true;
                     }});
  b = engine.Submit(
      {SaltedPrompt(5, 2), Most(20), [&](const GenerationEvent&) { return ++b_events, true; }});
  while (engine.Step()) {
  }
  EXPECT_EQ(a_events, 3);
  EXPECT_EQ(b_events, 2);
  EXPECT_EQ(later, Slowly(SaltedPrompt(5, 3), 4));
}

TEST_F(EngineTest, ReturningFalseCancels) {
  Engine engine(*model_, nullptr, tokenizer_, {});
  const Generation g =
      Generate(engine, SaltedPrompt(5, 1), Most(20), [](const GenerationEvent&) { return false; });
  EXPECT_EQ(g.ids.size(), 1u);
  EXPECT_EQ(g.finish, FinishReason::kCancelled);
  EXPECT_EQ(engine.counts().live, 0);
}

}  // namespace
}  // namespace retort
