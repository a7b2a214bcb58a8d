// SPDX-License-Identifier: Apache-2.0
// Who is read when, counted in steps: no model runs here, every stream says the same token.
#include "runner/engine/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/random.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

using Id = Engine::RequestId;

class SchedulerTest : public testing::Test {
 protected:
  void Make(int64_t pages, int64_t parallel, int64_t prefill_tokens, bool paced = false,
            int64_t kept_tokens = 0) {
    streams_.clear();
    said_.clear();
    cache_.emplace(*backend_, std::vector<std::vector<CachePlane>>{{{1, 1}}}, DType::kF32,
                   pages * kPageTokens, kept_tokens);
    scheduler_.emplace(*cache_, parallel, prefill_tokens, paced);
  }
  Id Add(int64_t prompt, int64_t max_tokens) {
    return Add(std::vector<int32_t>(static_cast<size_t>(prompt), 'a'), max_tokens);
  }
  Id Add(std::vector<int32_t> prompt, int64_t max_tokens) {
    GenerationRequest request;
    request.prompt = std::move(prompt);
    request.sampling.max_tokens = max_tokens;
    streams_.push_back(std::make_unique<Stream>(++last_, std::move(request), tokenizer_,
                                                std::vector<int32_t>{},
                                                cache_->pages() * kPageTokens));
    said_[last_] = 0;
    return last_;
  }
  // One step; the number of prompt tokens that it read.
  int64_t Step() {
    Batch batch;
    std::vector<int32_t> rows;
    int64_t prompt_tokens = 0;
    std::vector<Stream*> ready;
    for (const auto& [stream, tokens] : scheduler_->Plan(streams_)) {
      const bool of_prompt = stream->read() < stream->prompt_tokens();
      EXPECT_TRUE(tokens > 1 || !of_prompt || stream->prompt_tokens() == 1);
      CheckPages(*stream, tokens);
      if (of_prompt) prompt_tokens += tokens;
      stream->AppendTo(tokens, batch, rows);
      if (stream->unread() == 0) ready.push_back(stream);
    }
    scheduler_->Observe(1e-3 * static_cast<double>(batch.tokens()));
    Read();
    for (Stream* stream : ready) {
      ++said_[stream->id()];
      if (stream->Next(logits_, sampler_).finish != FinishReason::kNone) Remove(stream->id());
    }
    EXPECT_LE(Generating(), parallel_of_test_);
    return prompt_tokens;
  }
  // What is read is the tokens of the prompt, and in the pages of this stream: a page remembers the
  // tokens that were last written to it, up to its end.
  void CheckPages(const Stream& stream, int64_t tokens) {
    const std::span<const int32_t> prefix = stream.prefix();
    for (int64_t p = 0; p < std::min(stream.read(), std::ssize(prefix)); ++p)
      ASSERT_EQ(written_[stream.pages.RowOf(p)], prefix[static_cast<size_t>(p)]) << p;
    for (int64_t p = stream.read(); p < stream.read() + tokens; ++p)
      written_[stream.pages.RowOf(p)] =
          p < std::ssize(prefix) ? prefix[static_cast<size_t>(p)] : -1;
  }
  void Read() {
    for (const auto& stream : streams_) stream->Share(*cache_);
  }
  void Remove(Id id) {
    const auto at = std::ranges::find(streams_, id, [](const auto& s) { return s->id(); });
    if (at == streams_.end()) return;
    cache_->Release((*at)->pages);
    streams_.erase(at);
  }
  int64_t Generating() const {
    return std::ranges::count_if(streams_, [](const auto& s) { return s->generates; });
  }

  ByteTokenizer tokenizer_;
  std::unique_ptr<Backend> backend_ = MakeReferenceBackend();
  std::optional<KvCache> cache_;
  std::optional<Scheduler> scheduler_;
  Scheduler::Streams streams_;
  std::map<Id, int64_t> said_;  // tokens of each
  std::vector<float> logits_ = std::vector<float>(300, 0.0f);
  Sampler sampler_;
  std::map<int32_t, int32_t> written_;  // by the cache's row
  Id last_ = 0;
  int64_t parallel_of_test_ = 1 << 20;
};

TEST_F(SchedulerTest, AShortPromptSpeaksInItsFirstStepWhateverIsRead) {
  for (const bool paced : {false, true}) {
    Make(2048, 4, 512, paced);
    for (int i = 0; i < 6; ++i) Add(5000, 10);
    for (int i = 0; i < 3; ++i) Step();
    const Id short_one = Add(20, 100);
    Step();
    EXPECT_EQ(said_[short_one], 1) << "paced " << paced;
    // And the next ones beside that which generates. A step may be measured without prompts.
    for (int i = 0; i < 2; ++i) {
      const Id next = Add(40, 100);
      Step();
      if (paced && said_[next] == 0) Step();
      EXPECT_EQ(said_[next], 1) << "paced " << paced;
    }
  }
}

TEST_F(SchedulerTest, ALongPromptIsReadHoweverManyShorterOnesCome) {
  Make(2048, 4, 128);
  const Id long_one = Add(4000, 5);
  int64_t steps = 0;
  for (; said_[long_one] == 0 && steps < 1000; ++steps) {
    Add(60, 1), Add(60, 1), Add(60, 1);
    Step();
  }
  EXPECT_LE(steps, 4000 / 64 + 2);
}

// Places are all taken by streams that end and are followed at once.
TEST_F(SchedulerTest, ALongPromptGetsAPlaceHoweverManyShorterOnesWait) {
  Make(2048, 2, 128);
  for (int i = 0; i < 10; ++i) Add(10, 20);
  Step();
  const Id long_one = Add(1000, 5);
  int64_t steps = 0;
  for (; said_[long_one] == 0 && steps < 1000; ++steps) {
    if (streams_.size() < 10) Add(10, 20);
    Step();
  }
  EXPECT_LE(steps, 200);
}

TEST_F(SchedulerTest, StreamsThatGenerateDoSoInEveryStepAndPiecesAreBounded) {
  Make(2048, 4, 512);
  const Id a = Add(10, 1000), b = Add(10, 1000);
  Step();
  for (int i = 0; i < 5; ++i) Add(6000, 10);
  for (int64_t i = 2; i < 60; ++i) {
    EXPECT_LE(Step(), 512 + 2);
    EXPECT_EQ(said_[a], i);
    EXPECT_EQ(said_[b], i);
  }
}

TEST_F(SchedulerTest, NothingIsReservedForTokensThatMayNeverCome) {
  Make(64, 4, 512);
  Add(10, 2000), Add(10, 2000);
  Step();
  EXPECT_EQ(cache_->pages() - cache_->free_pages(), 2);
  const Id third = Add(1, 5);
  Step();
  EXPECT_EQ(said_[third], 1);
}

TEST_F(SchedulerTest, TheYoungestGivesItsPagesAndIsReadAgain) {
  Make(4, 2, 512);
  const Id old = Add(33, 60), young = Add(33, 60);  // two pages each, later three
  Step();
  EXPECT_EQ(cache_->free_pages(), 0);
  const Stream* second = streams_[1].get();
  for (int i = 0; i < 33; ++i) Step();  // the older one needs its third page
  EXPECT_EQ(scheduler_->preempted(), 1);
  EXPECT_EQ(said_[old], 34);
  EXPECT_EQ(second->read(), 0);
  EXPECT_FALSE(second->generates);
  const int64_t said = said_[young];
  while (said_[old] < 60) Step();
  Step();
  EXPECT_EQ(said_[young], said + 1);  // read again in one step, with what it has said
  while (!streams_.empty()) Step();
  EXPECT_EQ(said_[young], 60);
  EXPECT_EQ(cache_->free_pages(), 4);
}

TEST_F(SchedulerTest, ALongPromptDoesNotTakePagesThatAreNotEnoughForIt) {
  Make(32, 4, 512);
  const Id large = Add(20 * kPageTokens, 300);
  Step(), Step();
  ASSERT_EQ(said_[large], 1);
  const Id other = Add(20 * kPageTokens, 10);  // does not fit beside the first
  for (int i = 0; i < 5; ++i) Step();
  EXPECT_EQ(said_[other], 0);
  EXPECT_EQ(cache_->free_pages(), 32 - 21);
  const Id short_one = Add(30, 5);
  Step();
  EXPECT_EQ(said_[short_one], 1);
  while (!streams_.empty()) Step();
  EXPECT_EQ(said_[other], 10);
}

TEST_F(SchedulerTest, WhatTheCacheHasOfAPromptIsNotReadAgain) {
  Make(64, 4, 512, false, -1);
  const Id first = Add(200, 5);
  EXPECT_EQ(Step(), 200);
  Add(200, 5);  // beside the first
  const Stream* second = streams_[1].get();
  EXPECT_EQ(Step(), 200 - 6 * kPageTokens);
  EXPECT_EQ(second->reused(), 6 * kPageTokens);
  EXPECT_EQ(cache_->pages() - cache_->free_pages(), 6 + 2);
  while (!streams_.empty()) Step();
  EXPECT_EQ(cache_->free_pages(), 64);
  Add(200, 5);  // when nobody has them
  EXPECT_EQ(Step(), 200 - 6 * kPageTokens);
  std::vector<int32_t> other(200, 'a');
  other[70] = 'b';  // in the third page
  Add(other, 5);
  EXPECT_EQ(Step(), 200 - 2 * kPageTokens);
  EXPECT_EQ(said_[first], 5);
}

// Prompts that come together are not read side by side where they are the same.
TEST_F(SchedulerTest, APromptWaitsForAnotherThatReadsTheSame) {
  Make(2048, 16, 512, false, -1);
  for (int i = 0; i < 16; ++i) {
    std::vector<int32_t> prompt(2048, 'a');
    prompt.insert(prompt.end(), 10, i);
    Add(prompt, 3);
  }
  int64_t read = 0;
  for (int i = 0; i < 8; ++i) read += Step();
  EXPECT_EQ(read, 2048 + 16 * 10);
}

TEST_F(SchedulerTest, KeptPrefixesGiveWayAndTheOldestFirst) {
  Make(8, 4, 512, false, -1);
  for (const int32_t c : {'a', 'b'}) {
    Add(std::vector<int32_t>(3 * kPageTokens, c), 1);  // two whole pages of it can be used again
    Step();
  }
  EXPECT_EQ(cache_->free_pages(), 8);
  Add(std::vector<int32_t>(5 * kPageTokens, 'c'), 1);  // the four free ones, and one more
  Step();
  Add(std::vector<int32_t>(3 * kPageTokens, 'b'), 1);
  EXPECT_EQ(Step(), kPageTokens);
  Add(std::vector<int32_t>(3 * kPageTokens, 'a'), 1);
  EXPECT_GT(Step(), kPageTokens);
}

TEST_F(SchedulerTest, NoMoreIsKeptThanAskedFor) {
  Make(64, 4, 512, false, 2 * kPageTokens);
  Add(200, 1);
  Step();
  Add(200, 1);
  EXPECT_EQ(Step(), 200 - 2 * kPageTokens);
}

// Random requests and cancels with a small cache: every stream says all its tokens, in a number of
// steps that is bounded, and no page is lost. Half of the runs keep prefixes, and their prompts are
// of few kinds.
TEST_F(SchedulerTest, EveryStreamEndsWithAnyCache) {
  for (uint64_t seed = 0; seed < 600; ++seed) {
    SCOPED_TRACE(seed);
    RandomStream random(MakeKey(seed, RandomUse::kData));
    const auto below = [&](uint64_t n) { return static_cast<int64_t>(random.Below(n)); };
    const int64_t pages = 1 + below(9);
    parallel_of_test_ = 1 + below(4);
    const int64_t prefill_tokens = 1 + below(100);
    const bool paced = below(2) == 1;
    Make(pages, parallel_of_test_, prefill_tokens, paced, seed % 2 ? below(300) - 50 : 0);
    std::map<Id, int64_t> wanted;
    int64_t added = 0, steps = 0, tokens = 0;
    while (added < 25 || !streams_.empty()) {
      if (added < 25 && below(3) == 0) {
        const int64_t prompt = 1 + below(static_cast<uint64_t>(pages * kPageTokens - 1));
        const int64_t more = 1 + below(70);
        std::vector<int32_t> ids(static_cast<size_t>(prompt), 'a');
        if (const int64_t turn = below(200); turn < prompt)
          std::fill(ids.begin() + turn, ids.end(), 'b');
        wanted[Add(ids, more)] = std::min(more, pages * kPageTokens - prompt);
        ++added, tokens += prompt + more;
      }
      if (!streams_.empty() && below(40) == 0) {
        const Id gone = streams_[static_cast<size_t>(below(streams_.size()))]->id();
        Remove(gone);
        wanted.erase(gone);
      }
      if (!streams_.empty()) Step();
      ASSERT_LT(++steps, 300 + 20 * tokens) << "no end";
    }
    for (const auto& [id, count] : wanted) ASSERT_EQ(said_[id], count) << id;
    ASSERT_EQ(cache_->free_pages(), pages);
    cache_->ForgetPrefixes();
    ASSERT_EQ(cache_->free_pages(), pages);
  }
}

TEST(StreamPieces, AreNeverASingleTokenOfALongerPrompt) {
  const ByteTokenizer tokenizer;
  for (int64_t prompt = 1; prompt < 40; ++prompt) {
    for (int64_t share = 1; share < 20; ++share) {
      GenerationRequest request;
      request.prompt.assign(static_cast<size_t>(prompt), 'a');
      Stream stream(1, std::move(request), tokenizer, std::vector<int32_t>{}, 64);
      stream.pages.pages = {0, 1};
      while (stream.unread() > 0) {
        const int64_t piece = stream.PieceOf(share);
        EXPECT_TRUE(piece > 1 || prompt == 1);
        EXPECT_LE(piece, std::max<int64_t>(share, 2) + 1);
        Batch batch;
        std::vector<int32_t> rows;
        stream.AppendTo(piece, batch, rows);
        EXPECT_EQ(batch.layout.runs.size(), 1u);
      }
    }
  }
}

}  // namespace
}  // namespace retort
