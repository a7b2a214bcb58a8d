// SPDX-License-Identifier: Apache-2.0
// Many clients at one engine, with cancels and failures of every kind. Also run under
// ThreadSanitizer.
#include "runner/engine/engine_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/random.h"
#include "runner/engine/kv_cache.h"
#include "tests/runner/engine/faulty_backend.h"
#include "tests/support/random_model.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

enum class Kind { kPlain, kCancelled, kGivesUp, kThrows, kFailsPass, kOddNumbers, kTooLong, kLast };

// What a request was told, written on the engine's thread.
struct Told {
  std::promise<void> ended;
  std::vector<int32_t> ids;
  FinishReason finish = FinishReason::kNone;
  std::string failure;
  std::atomic<int> after_the_end = 0;
  bool over = false;

  void End() {
    over = true;
    ended.set_value();
  }
};

class EngineThreadTest : public testing::Test {
 protected:
  EngineThreadTest() {
    DenseConfig config = SmallConfig(tokenizer_.vocab_size());
    config.layers = 1;
    config.max_positions = 64;
    model_ = RandomModel(config, 4, backend_, 3);
    model_->config.ends = {tokenizer_.vocab_size() + 7};  // none
    options_.parallel = 4;
    options_.cache_tokens = 3 * kPageTokens;  // streams lose their pages now and then
  }

  static GenerationRequest Request(RandomStream& random, Kind kind) {
    GenerationRequest request;
    const size_t size = kind == Kind::kTooLong ? 64 : 2 + random.Below(40);
    for (size_t i = 0; i < size; ++i)
      request.prompt.push_back(static_cast<int32_t>(random.Below(200)));
    if (kind == Kind::kFailsPass) request.prompt[1] = FaultyBackend::kFails;
    if (kind == Kind::kOddNumbers) request.prompt[1] = FaultyBackend::kNotANumber;
    request.sampling.max_tokens = 1 + static_cast<int64_t>(random.Below(8));
    return request;
  }

  // Submits until there is room.
  static EngineThread::Ticket Submit(EngineThread& thread, const GenerationRequest& request,
                                     Kind kind, const std::shared_ptr<Told>& told) {
    GenerationRequest asked = request;
    asked.on_event = [told, kind](const GenerationEvent& event) {
      if (told->over) ++told->after_the_end;
      told->ids.insert(told->ids.end(), event.ids.begin(), event.ids.end());
      told->finish = event.finish;
      if (kind == Kind::kThrows) throw std::runtime_error("the client broke");
      if (event.finish != FinishReason::kNone || kind == Kind::kGivesUp) told->End();
      return kind != Kind::kGivesUp;
    };
    for (;; std::this_thread::yield()) {
      const auto ticket = thread.Submit(asked, [told](const std::exception& e) {
        if (told->over) ++told->after_the_end;
        told->failure = e.what();
        told->End();
      });
      if (ticket) return *ticket;
    }
  }

  // What must have come of it. A pass that fails takes those along that were in it.
  static void Check(Kind kind, const GenerationRequest& request, const Told& told) {
    const bool taken_along = told.failure == "the device failed";
    EXPECT_EQ(told.after_the_end, 0);
    switch (kind) {
      case Kind::kPlain:
        if (taken_along) return;
        EXPECT_EQ(told.failure, "");
        EXPECT_EQ(std::ssize(told.ids), request.sampling.max_tokens);
        EXPECT_EQ(told.finish, FinishReason::kLength);
        return;
      case Kind::kGivesUp:
        if (!taken_along) {
          EXPECT_EQ(told.ids.size(), 1u);
        }
        return;
      case Kind::kThrows:
        EXPECT_TRUE(taken_along || told.failure == "the client broke") << told.failure;
        return;
      case Kind::kFailsPass:
        EXPECT_TRUE(taken_along) << told.failure;
        return;
      case Kind::kOddNumbers:
        EXPECT_TRUE(taken_along || told.failure.find("not finite") != std::string::npos)
            << told.failure;
        return;
      case Kind::kTooLong:
        EXPECT_NE(told.failure.find("no room"), std::string::npos) << told.failure;
        return;
      case Kind::kCancelled:
      case Kind::kLast:
        return;
    }
  }

  void Client(EngineThread& thread, uint64_t number, int requests) {
    RandomStream random(MakeKey(number, RandomUse::kData));
    for (int i = 0; i < requests; ++i) {
      const auto draw = random.Below(20);
      const Kind kind =
          draw < static_cast<uint64_t>(Kind::kLast) ? static_cast<Kind>(draw) : Kind::kPlain;
      const GenerationRequest request = Request(random, kind);
      const auto told = std::make_shared<Told>();
      const EngineThread::Ticket ticket = Submit(thread, request, kind, told);
      if (kind == Kind::kCancelled) {
        thread.Cancel(ticket);
        if (thread.counts().cache_capacity == 0) ADD_FAILURE();
        continue;
      }
      told->ended.get_future().wait();
      Check(kind, request, *told);
    }
  }

  ByteTokenizer tokenizer_;
  FaultyBackend backend_{tokenizer_.vocab_size()};
  std::unique_ptr<Model> model_;
  EngineOptions options_;
};

TEST_F(EngineThreadTest, ServesSixteenClientsOfTwoHundredRequests) {
  for (const bool paced : {false, true}) {
    options_.paced = paced;
    if (paced) options_.draft.model = model_.get();  // as a server may have it
    Engine engine(*model_, nullptr, tokenizer_, options_);
    EngineThread thread(engine, 12);
    std::vector<std::thread> clients;
    for (uint64_t c = 0; c < 16; ++c) clients.emplace_back([&, c] { Client(thread, c, 100); });
    for (std::thread& client : clients) client.join();
    for (int i = 0; i < 500 && thread.counts().live + thread.counts().queued > 0; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(thread.counts().live + thread.counts().queued, 0);
    EXPECT_EQ(thread.counts().cached_tokens, 0);
  }
}

// A pass that fails must not reach requests that were not in it: with one place, the second waits.
TEST_F(EngineThreadTest, AFailedPassSparesThoseThatWait) {
  options_.parallel = 1;
  Engine engine(*model_, nullptr, tokenizer_, options_);
  EngineThread thread(engine, 8);
  GenerationRequest fails, waits;
  fails.prompt = {1, FaultyBackend::kFails};
  waits.prompt = {1, 2};
  waits.sampling.max_tokens = 5;
  for (int i = 0; i < 20; ++i) {
    const auto first = std::make_shared<Told>(), second = std::make_shared<Told>();
    Submit(thread, fails, Kind::kPlain, first);
    Submit(thread, waits, Kind::kPlain, second);
    first->ended.get_future().wait();
    second->ended.get_future().wait();
    EXPECT_EQ(first->failure, "the device failed");
    EXPECT_EQ(second->failure, "");
    EXPECT_EQ(second->ids.size(), 5u);
  }
}

TEST_F(EngineThreadTest, RunsTasksOnItsThreadBetweenSteps) {
  Engine engine(*model_, nullptr, tokenizer_, options_);
  std::optional<EngineThread> thread(std::in_place, engine, 8);
  std::thread::id first, second;
  thread->Run([&] { first = std::this_thread::get_id(); });
  thread->Run([&] { second = std::this_thread::get_id(); });
  EXPECT_EQ(first, second);
  EXPECT_NE(first, std::this_thread::get_id());
  EXPECT_THROW(thread->Run([] { throw InputError("no adapter"); }), Error);
}

// Whoever has an adapter last, its memory is given back on the engine's thread.
TEST_F(EngineThreadTest, DestroysWhatIsGivenBack) {
  Engine engine(*model_, nullptr, tokenizer_, options_);
  std::optional<EngineThread> thread(std::in_place, engine, 8);
  const auto live = [&] {
    int64_t bytes = 0;
    thread->Run([&] { bytes = backend_.memory().live_bytes(); });
    return bytes;
  };
  const auto made = [&] {
    std::unique_ptr<const Adapter> adapter;
    thread->Run([&] { adapter = RandomAdapter({}, *model_, 1); });
    return thread->Keep(std::move(adapter));
  };
  const int64_t before = live();
  std::shared_ptr<const Adapter> adapter = made();
  EXPECT_GT(live(), before);
  GenerationRequest request;
  request.prompt = {1, 2, 3};
  request.sampling.max_tokens = 40;
  request.adapter = adapter;
  const auto told = std::make_shared<Told>();
  Submit(*thread, request, Kind::kPlain, told);
  request.adapter.reset();
  adapter.reset();  // the stream has it alone, or nobody
  told->ended.get_future().wait();
  EXPECT_EQ(told->failure, "");
  live();  // a round of the loop: in it, or before, the adapter went
  EXPECT_EQ(live(), before);
  adapter = made();
  adapter.reset();
  live();
  EXPECT_EQ(live(), before);
  adapter = made();
  thread.reset();
  adapter.reset();  // behind the thread's end
  EXPECT_EQ(backend_.memory().live_bytes(), before);
}

TEST_F(EngineThreadTest, TellsEveryRequestThatItStops) {
  Engine engine(*model_, nullptr, tokenizer_, options_);
  std::vector<std::shared_ptr<Told>> all;
  {
    EngineThread thread(engine, 64);
    GenerationRequest request;
    request.prompt = {1, 2, 3};
    request.sampling.max_tokens = 60;
    for (int i = 0; i < 40; ++i) {
      all.push_back(std::make_shared<Told>());
      Submit(thread, request, Kind::kPlain, all.back());
    }
  }
  for (const auto& told : all) {
    EXPECT_TRUE(told->over);
    EXPECT_TRUE(told->finish == FinishReason::kLength || told->failure == "the server is stopping");
  }
}

}  // namespace
}  // namespace retort
