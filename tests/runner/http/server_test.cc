// SPDX-License-Identifier: Apache-2.0
#include "runner/http/server.h"

#include <gtest/gtest.h>

#include "tests/runner/http/fixture.h"

namespace retort {
namespace {

TEST_F(HttpServerTest, AThrowInAHandlerEndsNothingElse) {
  Start();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Ask(Get("/bad-judge")).status, 500);
    EXPECT_EQ(Ask(Post("/bad-handler", "x")).body, "the handler failed");
    EXPECT_EQ(Ask(Get("/ok")).status, 200);
  }
}

TEST_F(HttpServerTest, ServesPipelinedRequestsInTheirOrder) {
  Start();
  RawClient client(server_->port());
  std::string many;
  for (int i = 0; i < 300; ++i) many += Post("/echo", Cat(i)) + "\r\n" + Get("/ok");
  client.Send(many);
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(client.Read().body, Cat(i));
    ASSERT_EQ(client.Read().body, "ok");
  }
}

TEST_F(HttpServerTest, AnUnknownCodingIsNoBeginningOfAnotherRequest) {
  Start();
  for (const char* coding : {"gzip", "xchunked", "identity", "chunked, gzip"}) {
    RawClient client(server_->port());
    client.Send(Cat("POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: ", coding,
                    "\r\n\r\n", Get("/ok")));
    EXPECT_EQ(client.Read().status, 501) << coding;
    EXPECT_EQ(client.Read().status, 0) << coding;
  }
}

TEST_F(HttpServerTest, AsksForABodyThatItWants) {
  Start();
  RawClient client(server_->port());
  client.Send(
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_TRUE(client.Await("100 Continue\r\n\r\n"));
  client.Send("abc");
  EXPECT_TRUE(client.Await("\r\n\r\nabc"));
}

TEST_F(HttpServerTest, ABodyMustKeepARate) {
  options_.read_timeout = 200ms;
  options_.least_rate = 1000;
  Start();
  RawClient steady(server_->port());
  steady.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000\r\n\r\n");
  for (int i = 0; i < 10; ++i) {  // 3,000 bytes are given 3.2 seconds
    steady.Send(std::string(300, 'x'));
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_EQ(steady.Read().status, 200);
  RawClient dripping(server_->port());
  dripping.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000\r\n\r\n");
  for (int i = 0; i < 200 && !dripping.closed(); ++i) {
    dripping.Send("x");
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_EQ(dripping.Read().status, 408);
}

TEST_F(HttpServerTest, BodiesHaveOneMemory) {
  options_.bodies_limit = 1 << 20;
  options_.body_limit = 400000;
  Start();
  std::vector<std::unique_ptr<RawClient>> unfinished;
  for (int i = 0; i < 20; ++i) {
    unfinished.push_back(std::make_unique<RawClient>(server_->port()));
    unfinished.back()->Send(
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 400000\r\n\r\n");
    unfinished.back()->Send(std::string(399000, 'x'));
    std::this_thread::sleep_for(300ms);  // old enough to be closed for others
    EXPECT_EQ(Ask(Post("/echo", std::string(300000, 'y'))).status, 200) << i;
  }
  int open = 0;
  for (const auto& client : unfinished) open += !client->closed();
  EXPECT_LE(open, 2);  // three of them and no more than a megabyte do not go together
  // Complete ones that wait for their answers count too.
  std::vector<std::unique_ptr<RawClient>> complete;
  for (int i = 0; i < 2; ++i) {
    complete.push_back(std::make_unique<RawClient>(server_->port()));
    complete.back()->Send(Post("/wait", std::string(400000, 'w')));
  }
  EXPECT_EQ(Ask(Post("/echo", std::string(100000, 'y'))).status, 200);
}

TEST_F(HttpServerTest, PingsASilentStream) {
  options_.ping = 200ms;
  Start();
  RawClient client(server_->port());
  client.Send(Post("/wait", "x"));
  std::shared_ptr<HttpExchange> exchange;
  for (int i = 0; i < 500 && !exchange; ++i, std::this_thread::sleep_for(10ms)) {
    const std::lock_guard lock(mutex_);
    if (!waiting_.empty()) exchange = waiting_[0];
  }
  ASSERT_TRUE(exchange);
  exchange->Begin({"text/plain", "[ping]", "[last words]"});
  EXPECT_TRUE(client.Await("[ping]"));
  exchange->Send("text");
  exchange->End();
  exchange->Send("after the end");
  const RawAnswer answer = client.Read();
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.body.ends_with("text")) << answer.body;
}

TEST_F(HttpServerTest, TellsTheHandlerThatTheClientHasGone) {
  Start();
  auto client = std::make_unique<RawClient>(server_->port());
  client->Send(Post("/wait", "x"));
  for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(10ms)) {
    const std::lock_guard lock(mutex_);
    if (!waiting_.empty()) break;
  }
  ASSERT_EQ(waiting_.size(), 1u);
  std::atomic<int> told = 0;
  waiting_[0]->OnGone([&] { ++told; });
  client.reset();
  for (int i = 0; i < 500 && told == 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(told, 1);
  EXPECT_TRUE(waiting_[0]->gone());
  waiting_[0]->OnGone([&] { ++told; });  // too late to wait for it
  EXPECT_EQ(told, 2);
  waiting_[0]->Answer({});
  EXPECT_EQ(Ask(Get("/ok")).status, 200);
}

TEST_F(HttpServerTest, TurnsAClientAwayOnlyWhenAllOthersWaitForTheServer) {
  options_.connections = 2;
  Start();
  RawClient first(server_->port()), second(server_->port());
  for (RawClient* client : {&first, &second}) {
    client->Send(Get("/ok"));
    EXPECT_EQ(client->Read().status, 200);
  }
  // The one that has been idle for longest makes room.
  RawClient third(server_->port());
  third.Send(Post("/wait", "x"));
  EXPECT_TRUE(first.AtEnd());
  second.Send(Post("/wait", "x"));
  for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(10ms)) {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() == 2) break;
  }
  const RawAnswer refused = Ask(Get("/ok"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  third.Close();
  bool again = false;
  for (int i = 0; i < 100 && !again; ++i, std::this_thread::sleep_for(20ms))
    again = Ask(Get("/ok")).status == 200;
  EXPECT_TRUE(again);
}

}  // namespace
}  // namespace retort
