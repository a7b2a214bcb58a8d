// SPDX-License-Identifier: Apache-2.0
#include "runner/service/reply.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace retort {
namespace {

class KeptExchange : public HttpExchange {
 public:
  void Answer(HttpAnswer answer) override { answers.push_back(std::move(answer)); }
  void Begin(HttpStream /*stream*/) override {}
  void Send(std::string /*bytes*/) override {}
  void End() override {}
  bool gone() const override { return false; }
  void OnGone(std::function<void()> /*on_gone*/) override {}

  std::vector<HttpAnswer> answers;
};

class FailingWriter : public AnswerWriter {
 public:
  std::string Whole(const ApiAnswer& /*answer*/) override { throw Failure("cannot be written"); }
  std::string ErrorBody(const ApiError& error) const override { return error.what(); }
  std::string Begin(const ApiAnswer& /*answer*/) override { return ""; }
  std::string Said(const ApiChoice& /*choice*/, const AnswerPart& /*part*/,
                   std::span<const TokenLogprobs> /*tokens*/) override {
    return "";
  }
  std::string EndOfChoice(const ApiChoice& /*choice*/,
                          std::span<const TokenLogprobs> /*tokens*/) override {
    return "";
  }
  std::string End(const ApiAnswer& /*answer*/) override { return ""; }
  std::string Failed(const ApiError& error) const override { return error.what(); }
};

class ServerReplyTest : public testing::Test {
 protected:
  std::unique_ptr<ServerReply> Reply(size_t choices) {
    std::vector<ReplyChoice> all(choices);
    ReplyOptions options;
    options.on_end = [this](const ReplyOutcome& outcome) { statuses_.push_back(outcome.status); };
    options.cancel = [this] { ++cancelled_; };
    return std::make_unique<ServerReply>(exchange_, ServerPlaces::Take(taken_, 1, 4),
                                         std::make_unique<FailingWriter>(), std::move(all),
                                         std::move(options));
  }

  const std::shared_ptr<KeptExchange> exchange_ = std::make_shared<KeptExchange>();
  std::atomic<int64_t> taken_{0};
  std::vector<int> statuses_;
  int cancelled_ = 0;
};

TEST_F(ServerReplyTest, AnAnswerThatCannotBeWrittenIsAFailedOne) {
  const auto reply = Reply(1);
  GenerationEvent event;
  event.finish = FinishReason::kStop;
  try {
    reply->OnEvent(0, event);
    FAIL();
  } catch (const Error& e) {  // as the engine's thread does
    reply->Fail(e);
  }
  ASSERT_EQ(exchange_->answers.size(), 1u);
  EXPECT_EQ(exchange_->answers[0].status, 500);
  EXPECT_EQ(statuses_, (std::vector<int>{500}));
  EXPECT_EQ(taken_, 0);
}

TEST_F(ServerReplyTest, OneFailureStopsAllAnswers) {
  const auto reply = Reply(3);
  reply->Fail(ApiError(400, "no"));
  reply->Fail(ApiError(400, "no"));
  EXPECT_EQ(cancelled_, 1);
  EXPECT_FALSE(reply->OnEvent(1, {}));
  EXPECT_EQ(exchange_->answers.size(), 1u);
}

TEST(ServerPlaces, AreNotTakenByWhoDoesNotGetThem) {
  std::atomic<int64_t> taken{0};
  const auto places = ServerPlaces::Take(taken, 1, 4);
  EXPECT_FALSE(places->TakeMore(4));
  EXPECT_EQ(taken, 1);
  EXPECT_TRUE(places->TakeMore(3));
  EXPECT_EQ(ServerPlaces::Take(taken, 1, 4), nullptr);
  EXPECT_EQ(taken, 4);
}

}  // namespace
}  // namespace retort
