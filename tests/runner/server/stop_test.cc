// SPDX-License-Identifier: Apache-2.0
// How a server ends: every client is told.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

// Long before an endless answer would end, or the longest grace below.
constexpr auto kSoon = 60s;

// The last event of a stream that a server's end ended.
constexpr const char* kStopEvent =
    R"(data: {"error":{"message":"the server is stopping","type":"server_error",)";

TEST_F(ServerTest, StopsWhileAnswering) {
  MakeEndless();
  Start();
  RawClient idle(server_->port()), streaming(server_->port());
  idle.Send(Get("/health"));
  EXPECT_EQ(idle.Read().status, 200);
  streaming.Send(Endless(true));
  ASSERT_TRUE(streaming.Await("data: "));
  const auto begin = std::chrono::steady_clock::now();
  Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kSoon);
  EXPECT_TRUE(idle.AtEnd());
  const RawAnswer answer = streaming.Read();
  EXPECT_EQ(answer.status, 200);  // the last chunk is there: it was not cut off
  EXPECT_NE(answer.body.find(kStopEvent), std::string::npos) << answer.body;
}

TEST_F(ServerTest, EndsAnAnswerBeforeItStops) {
  options_.http.grace = 120s;
  Start();
  RawClient client(server_->port());
  client.Send(Post(kComplete, R"({"prompt": "a", "max_tokens": 40, "stream": true})"));
  ASSERT_TRUE(client.Await("data: "));
  Stop();
  EXPECT_GE(Events(client.Read().body).size(), 2u);
}

TEST_F(ServerTest, TellsEveryStreamAndEveryRequestThatItStops) {
  MakeEndless();
  options_.engine.parallel = 32;
  options_.engine.context = 4000;
  options_.engine.cache_tokens = 128000;
#ifdef RETORT_SANITIZED
  options_.http.grace = 15s;  // all events are written in its last fifth
#else
  options_.http.grace = 2s;
#endif
  Start();
  std::vector<std::unique_ptr<RawClient>> streams, wholes;
  for (int i = 0; i < 36; ++i) {  // four of them have no place in the engine yet
    streams.push_back(std::make_unique<RawClient>(server_->port()));
    streams.back()->Send(Endless(true));
  }
  for (int i = 0; i < 4; ++i) {
    wholes.push_back(std::make_unique<RawClient>(server_->port()));
    wholes.back()->Send(Endless(false));
  }
  ASSERT_TRUE(Eventually([](const EngineCounts& c) { return c.live == 32 && c.queued == 8; }));
  RawClient unfinished(server_->port());
  unfinished.Send("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n");
  std::this_thread::sleep_for(100ms);  // for the unfinished request to arrive
  const auto begin = std::chrono::steady_clock::now();
  Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kSoon);
  EXPECT_TRUE(ended_in_order_);
  for (const auto& client : streams) {
    const RawAnswer answer = client->Read();
    ASSERT_EQ(answer.status, 200);
    EXPECT_NE(answer.body.find(kStopEvent), std::string::npos);
  }
  for (const auto& client : wholes) {
    const RawAnswer answer = client->Read();
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.headers.at("retry-after"), "1");
  }
  EXPECT_EQ(unfinished.Read().status, 503);
}

TEST_F(ServerTest, ASecondStopEndsItAtOnce) {
  MakeEndless();
  options_.http.grace = 300s;
  Start();
  RawClient streaming(server_->port());
  streaming.Send(Endless(true));
  ASSERT_TRUE(streaming.Await("data: "));
  const auto begin = std::chrono::steady_clock::now();
  server_->Stop();
  Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kSoon);
  EXPECT_FALSE(ended_in_order_);
}

}  // namespace
}  // namespace retort
