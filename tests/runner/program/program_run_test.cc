// SPDX-License-Identifier: Apache-2.0
// What a program does on which thread.
#include "runner/program/program_run.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>

#include "tests/runner/engine/faulty_backend.h"
#include "tests/support/random_model.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

// Jobs that nobody runs by himself, and the answer.
class Desk : public HttpExchange {
 public:
  void Answer(HttpAnswer answer) override {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
    changed_.notify_all();
  }
  void Begin(HttpStream) override {}
  void Send(std::string) override {}
  void End() override {}
  bool gone() const override { return false; }
  void OnGone(std::function<void()>) override {}

  void Post(std::function<void()> job) {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
    changed_.notify_all();
  }
  // Null if an answer came first.
  std::function<void()> NextJob() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !jobs_.empty() || answer_; });
    if (jobs_.empty()) return nullptr;
    std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    return job;
  }
  std::optional<HttpAnswer> answer() {
    const std::lock_guard lock(mutex_);
    return answer_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  std::optional<HttpAnswer> answer_;
};

// Has no token for no text.
class PlainTokenizer : public ByteTokenizer {
 public:
  PlainTokenizer() : ByteTokenizer({}, false) {}
  using ByteTokenizer::Encode;
  std::vector<int32_t> Encode(const std::vector<Segment>& segments, bool) const override {
    return ByteTokenizer::Encode(segments, true);
  }
};

class ProgramRunTest : public testing::Test {
 protected:
  void Begin(const std::string& body) {
    ProgramJob job;
    job.service = {std::shared_ptr<void>(), &service_};
    job.program = ReadProgram(body, 1, service_.context());
    job.variant = service_.Find(job.program.model);
    job.exchange = desk_;
    job.places = service_.TakePlace();
    job.post = [desk = desk_](std::function<void()> next) { desk->Post(std::move(next)); };
    StartProgram(std::move(job));
  }

  const PlainTokenizer tokenizer_;
  FaultyBackend backend_{tokenizer_.vocab_size()};
  const std::unique_ptr<Model> model_ =
      RandomModel(SmallConfig(tokenizer_.vocab_size()), 4, backend_, 3);
  const ServiceOptions options_{};
  const std::shared_ptr<Desk> desk_ = std::make_shared<Desk>();
  std::atomic<int64_t> taken_{0};
  ModelService service_{{*model_, nullptr, tokenizer_, "tiny", {}, ""}, options_, taken_};
};

// The engine's thread only hands a failure on: the program may be busy with a long text.
TEST_F(ProgramRunTest, FailuresAreTakenOffTheEnginesThread) {
  // The first byte of that letter is FaultyBackend::kFails.
  Begin(R"({"prompt": "a", "steps": [{"text": "\u0200"}, {"generate": "x"}]})");
  const std::function<void()> next = desk_->NextJob();
  ASSERT_TRUE(next) << "answered on the engine's thread";
  EXPECT_FALSE(desk_->answer());
  next();
  ASSERT_TRUE(desk_->answer());
  EXPECT_EQ(desk_->answer()->status, 500);
  EXPECT_NE(desk_->answer()->body.find("'steps[1]': the device failed"), std::string::npos)
      << desk_->answer()->body;
}

TEST_F(ProgramRunTest, ChoicesStandBehindSomeText) {
  Begin(R"({"prompt": "", "steps": [{"select": "x", "choices": ["a", "b"]}]})");
  ASSERT_TRUE(desk_->answer());
  EXPECT_EQ(desk_->answer()->status, 400);
  EXPECT_NE(desk_->answer()->body.find("'steps[0]': there is no text before the choices"),
            std::string::npos)
      << desk_->answer()->body;
}

}  // namespace
}  // namespace retort
