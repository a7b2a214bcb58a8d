// SPDX-License-Identifier: Apache-2.0
// What a server gives to whom: keys, limits, places.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

TEST_F(ServerTest, WantsItsKey) {
  options_.keys = {{"sesame", "one"}};
  Start();
  const std::string body = R"({"prompt": "a", "max_tokens": 2})";
  for (const char* given :
       {"", "Authorization: Bearer sesam\r\n", "Authorization: Bearer sesame2\r\n",
        "Authorization: Bearer sesamE\r\n", "Authorization: sesame\r\n",
        "Authorization: Bearersesame\r\n", "Authorization: Basic sesame\r\n"}) {
    EXPECT_EQ(Refused(401, Ask(Post(kComplete, body, given)))["code"], "invalid_api_key") << given;
  }
  Refused(401, Ask(Get("/v1/models")));
  EXPECT_EQ(Ask(Get("/health")).status, 200);
  for (const char* scheme : {"Bearer", "bearer", "BEARER "}) {
    const std::string given = Cat("Authorization: ", scheme, " sesame\r\n");
    EXPECT_EQ(Ask(Post(kComplete, body, given)).status, 200) << scheme;
  }
  Refused(400, Ask(Post(kComplete, body,
                        "Authorization: Bearer no\r\nAuthorization: Bearer sesame\r\n")));
}

TEST_F(ServerTest, TellsOnceWhenToTryAgain) {
  options_.keys = {{"sesame", "one", 1, 0, 0}};
  Start();
  const std::string ask = Post(kComplete, R"({"prompt": "a", "max_tokens": 1})",
                               "Authorization: Bearer sesame\r\nConnection: close\r\n");
  EXPECT_EQ(Ask(ask).status, 200);
  RawClient client(server_->port());
  client.Send(ask);
  ASSERT_TRUE(client.Await("rate_limit_exceeded"));
  const std::string bytes = client.arrived();
  const size_t first = bytes.find("Retry-After");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(bytes.find("Retry-After", first + 1), std::string::npos);
}

TEST_F(ServerTest, WithoutTheKeyNothingTellsWhichModelIsServed) {
  options_.keys = {{"sesame", "one"}};
  Start();
  EXPECT_EQ(Ask(Get("/v1/models/tiny")).body, Ask(Get("/v1/models/other")).body);
  Refused(401, Ask(Get("/v1/models/tiny")));
  const std::string key = "Authorization: Bearer sesame\r\n";
  EXPECT_EQ(Ask(Get("/v1/models/tiny", key)).status, 200);
  EXPECT_EQ(Ask(Get("/v1/models/other", key)).status, 404);
}

TEST_F(ServerTest, RefusesByTheHeaderBeforeTheBodyArrives) {
  options_.keys = {{"sesame", "one"}};
  Start();
  const auto announce = [&](const std::string& path, const std::string& more) {
    return Cat("POST ", path, " HTTP/1.1\r\nHost: localhost\r\n", more,
               "Content-Length: 3000000\r\n\r\n{");
  };
  const std::string key = "Authorization: Bearer sesame\r\n",
                    json = "Content-Type: application/json\r\n";
  Refused(404, Ask(announce("/nope", key + json)));
  Refused(405, Ask(announce("/health", key + json)));
  Refused(401, Ask(announce(kComplete, json)));
  Refused(401, Ask(announce(kComplete, json + "Expect: 100-continue\r\n")));
  Refused(415, Ask(announce(kComplete, key + "Content-Type: text/plain\r\n")));
  Refused(415, Ask(announce(kComplete, key + json + "Content-Encoding: gzip\r\n")));
  // A refused client that goes on sending still reads the answer.
  RawClient stubborn(server_->port());
  stubborn.Send(announce(kComplete, json));
  stubborn.Send(std::string(2999999, 'x'));
  Refused(401, stubborn.Read());
}

TEST_F(ServerTest, TakesJsonInUtf8Alone) {
  Start();
  const auto ask = [&](const std::string& type) {
    const std::string body = R"({"prompt": "a", "max_tokens": 1})";
    return Ask(Cat("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: ", type,
                   "\r\nContent-Length: ", body.size(), "\r\n\r\n", body));
  };
  for (const char* type :
       {"application/json", "Application/JSON", "application/json; charset=UTF-8",
        "application/json;v=1;charset=\"utf-8\""}) {
    EXPECT_EQ(ask(type).status, 200) << type;
  }
  for (const char* type : {"application/jsonx", "application/json-patch+json", "text/json", "",
                           "application/json; charset=latin1"}) {
    Refused(415, ask(type));
  }
}

TEST_F(ServerTest, BoundsWhatItReads) {
  options_.http.body_limit = 2000;
  options_.http.header_limit = 1000;
  options_.http.read_timeout = 300ms;
  Start();
  const std::string begin =
      "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
  Refused(413, Ask(Post(kComplete, std::string(2001, ' '))));
  Refused(413, Ask(begin + "Content-Length: 99999999999999\r\n\r\n"));
  Refused(413, Ask(Cat(begin, "Transfer-Encoding: chunked\r\n\r\nbb8\r\n", std::string(3000, ' '),
                       "\r\n0\r\n\r\n")));
  Refused(431, Ask(Get("/health", Cat("X: ", std::string(1500, 'x'), "\r\n"))));
  Refused(400, Ask("nonsense\r\n\r\n"));
  const auto type = [&](const std::string& path) {
    const RawAnswer answer = Ask(Post(path, std::string(2001, ' ')));
    EXPECT_EQ(answer.status, 413);
    return ParseJson(answer.body, "error");
  };
  EXPECT_EQ(type("/v1/messages")["type"], "error");
  EXPECT_TRUE(type("/api/chat")["error"].is_string());
  RawClient slow(server_->port());
  slow.Send("GET /health HTTP/1.1\r\n");  // and never the rest
  Refused(408, slow.Read());
  EXPECT_TRUE(slow.AtEnd());
  RawClient slower(server_->port());
  slower.Send(begin + "Content-Length: 100\r\n\r\n{");
  Refused(408, slower.Read());
  EXPECT_TRUE(slower.AtEnd());
  RawClient idle(server_->port());
  EXPECT_TRUE(idle.AtEnd());  // it has asked nothing, and is told nothing
  EXPECT_EQ(Ask(Get("/health")).status, 200);
}

TEST_F(ServerTest, ALongTrailerIsReadPast) {
  Start();
  // Boost.Beast throws at a trailer's field of 65,534 bytes or more.
  for (const size_t size :
       {size_t{70}, size_t{65533}, size_t{65534}, size_t{66000}, size_t{3} << 20}) {
    for (const bool in_name : {false, true}) {
      RawClient client(server_->port());
      const std::string text(size, '0');
      client.Send(Cat(
          "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
          "Transfer-Encoding: chunked\r\n\r\n0\r\n",
          in_name ? text : "X", ": ", in_name ? "v" : text, "\r\n\r\n"));
      const int status = client.Read().status;
      EXPECT_TRUE(status == 400 || status == 431) << size << ": " << status;
    }
    EXPECT_EQ(Ask(Get("/health")).status, 200);
  }
}

TEST_F(ServerTest, ATrailerIsNoHeader) {
  options_.keys = {{"sesame", "one"}};
  Start();
  const std::string body = R"({"prompt": "a", "max_tokens": 2})";
  const RawAnswer answer = Ask(
      Cat("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
          "20\r\n", body, "\r\n0\r\nAuthorization: Bearer sesame\r\n",
          "Content-Type: application/json\r\n\r\n"));
  Refused(401, answer);
}

TEST_F(ServerTest, AnswersOnlyToItsOwnHosts) {
  options_.http.allowed_hosts = {"Model.Example"};
  Start();
  const auto ask = [&](const std::string& host) {
    return Ask(Cat("GET /health HTTP/1.1\r\n", host, "\r\n"));
  };
  for (const char* host :
       {"localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:1", "[::1]:9", "model.example"}) {
    EXPECT_EQ(ask(Cat("Host: ", host, "\r\n")).status, 200) << host;
  }
  for (const char* host : {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
                           "notmodel.example", ""}) {
    EXPECT_EQ(Refused(403, ask(Cat("Host: ", host, "\r\n")))["type"], "permission_error") << host;
  }
  Refused(400, ask(""));
  Refused(400, ask("Host: localhost\r\nHost: localhost\r\n"));
  Refused(400, ask("Host: local host\r\n"));
  Refused(403, Ask("GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  EXPECT_EQ(Ask("GET /health HTTP/1.0\r\n\r\n").status, 200);  // 1.0 has no Host
}

TEST_F(ServerTest, ATenfoldRushIsAnsweredAndNothingAcceptedIsLost) {
  options_.engine.parallel = 2;
  options_.queue = 6;
  model_->config.ends = {tokenizer_.vocab_size() + 7};
  Start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 80; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->port()));
    clients.back()->Send(Post(kComplete, R"({"prompt": "go", "max_tokens": 40, "stream": true})"));
  }
  int served = 0, refused = 0;
  for (const auto& client : clients) {
    const RawAnswer answer = client->Read();
    if (answer.status == 429) {
      ++refused;
      EXPECT_EQ(answer.headers.at("retry-after"), "1");
      EXPECT_EQ(Refused(429, answer)["code"], "queue_full");
      continue;
    }
    ++served;
    EXPECT_EQ(Events(answer.body).back()["choices"][0]["finish_reason"], "length");
  }
  EXPECT_GE(served, 8);
  EXPECT_EQ(served + refused, 80);
  EXPECT_TRUE(EventuallyIdle());
}

TEST_F(ServerTest, AStreamBeginsBeforeItsFirstToken) {
  MakeEndless();
  options_.engine.parallel = 1;
  options_.http.ping = 200ms;
  Start();
  RawClient first(server_->port());
  first.Send(Endless(true));
  ASSERT_TRUE(first.Await("data: "));
  RawClient waiting(server_->port());
  waiting.Send(Endless(true));
  EXPECT_TRUE(waiting.Await("text/event-stream"));
  EXPECT_TRUE(waiting.Await(": waiting\n\n"));  // a comment
  EXPECT_TRUE(Eventually([](const EngineCounts& c) { return c.queued == 1; }));
}

TEST_F(ServerTest, AClientThatGoesFreesItsPlace) {
  MakeEndless();
  options_.queue = 1;
  Start();
  // One streams, one waits for a whole answer, one waits for a place: all of them go.
  auto streaming = std::make_unique<RawClient>(server_->port());
  streaming->Send(Endless(true));
  ASSERT_TRUE(streaming->Await("data: "));
  auto waiting = std::make_unique<RawClient>(server_->port());
  waiting->Send(Endless(false));
  ASSERT_TRUE(Eventually([](const EngineCounts& c) { return c.live == 2; }));
  auto queued = std::make_unique<RawClient>(server_->port());
  queued->Send(Endless(false));
  ASSERT_TRUE(Eventually([](const EngineCounts& c) { return c.queued == 1; }));

  // And a fourth finds no place at all.
  const RawAnswer full = Ask(Post(kComplete, R"({"prompt": "a"})"));
  EXPECT_EQ(Refused(429, full)["code"], "queue_full");
  EXPECT_EQ(full.headers.at("retry-after"), "1");

  queued.reset();
  EXPECT_TRUE(Eventually([](const EngineCounts& c) { return c.live == 2 && c.queued == 0; }));
  streaming.reset();
  EXPECT_TRUE(Eventually([](const EngineCounts& c) { return c.live == 1; }));
  waiting.reset();
  EXPECT_TRUE(EventuallyIdle());
  EXPECT_EQ(Ask(Post(kComplete, R"({"prompt": "a", "max_tokens": 2})")).status, 200);
}

}  // namespace
}  // namespace retort
