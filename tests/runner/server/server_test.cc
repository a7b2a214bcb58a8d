// SPDX-License-Identifier: Apache-2.0
#include "runner/server/server.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

TEST_F(ServerTest, CompletesTextAsTheEngineDoes) {
  Start();
  SamplingOptions sampling;
  sampling.max_tokens = 24;
  const Generation alone = Alone(tokenizer_.EncodePrompt("Once"), sampling);
  const RawAnswer answer =
      Ask(Post(kComplete, R"({"model": "tiny", "prompt": "Once", "max_tokens": 24})"));
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.headers.at("content-type"), "application/json");
  const Json body = ParseJson(answer.body, "body");
  EXPECT_EQ(body["object"], "text_completion");
  EXPECT_EQ(body["model"], "tiny");
  EXPECT_EQ(body["id"].get<std::string>().substr(0, 5), "cmpl-");
  EXPECT_EQ(body["choices"][0]["text"], ParseJson(DumpJson(alone.text), "text"));
  EXPECT_EQ(body["choices"][0]["finish_reason"], std::string(NameOf(alone.finish)));
  EXPECT_EQ(body["usage"]["prompt_tokens"], alone.prompt_tokens);
  EXPECT_EQ(body["usage"]["completion_tokens"], alone.ids.size());
  EXPECT_EQ(body["usage"]["total_tokens"],
            alone.prompt_tokens + static_cast<int64_t>(alone.ids.size()));

  // The same as ids, and with a random choice that the seed fixes.
  const std::string ids = DumpJson(tokenizer_.EncodePrompt("Once"));
  EXPECT_EQ(
      AskJson(Post(kComplete, Cat(R"({"prompt": )", ids, R"(, "max_tokens": 24})")))["choices"],
      body["choices"]);
  sampling.temperature = 1, sampling.seed = 77, sampling.top_p = 0.9;
  const Json drawn =
      AskJson(Post(kComplete, R"({"prompt": "Once", "max_tokens": 24, "temperature": 1,
      "seed": 77, "top_p": 0.9})"));
  EXPECT_EQ(drawn["choices"][0]["text"], Alone(tokenizer_.EncodePrompt("Once"), sampling).text);
}

TEST_F(ServerTest, ChatsThroughTheTemplateAndStopsAtItsMark) {
  Start();
  const ChatTemplate chatml = ChatTemplate::Named("chatml");
  SamplingOptions sampling;
  sampling.max_tokens = 20;
  sampling.stop_ids = {tokenizer_.Id("<|im_end|>")};
  const auto prompt =
      EncodeChat(tokenizer_, chatml, {{"system", "Be brief."}, {"user", "Hello"}}, true, "");
  const Generation alone = Alone(prompt, sampling);
  const RawAnswer answer =
      Ask(Post(kChat, R"({"model": "tiny", "max_completion_tokens": 20, "user": "me", "n": 1,
      "presence_penalty": 0, "logprobs": false, "messages": [{"role": "system", "content": "Be brief."},
      {"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]}]})"));
  ASSERT_EQ(answer.status, 200) << answer.body;
  const Json body = ParseJson(answer.body, "body");
  EXPECT_EQ(body["object"], "chat.completion");
  EXPECT_EQ(body["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(body["choices"][0]["message"]["content"], alone.text);
  EXPECT_EQ(body["usage"]["prompt_tokens"], prompt.size());
}

TEST_F(ServerTest, StreamsTheSameTextInWholeCharacters) {
  Start();
  const std::string asks = R"("messages": [{"role": "user", "content": "Hé"}], "max_tokens": 60)";
  const Json whole = AskJson(Post(kChat, Cat("{", asks, "}")));
  const RawAnswer answer = Ask(Post(
      kChat, Cat("{", asks, R"(, "stream": true, "stream_options": {"include_usage": true}})")));
  ASSERT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("content-type").substr(0, 17), "text/event-stream");
  EXPECT_GT(answer.chunks, 3);
  const std::vector<Json> events = Events(answer.body);
  ASSERT_GE(events.size(), 4u);
  EXPECT_EQ(events[0]["choices"][0]["delta"], (Json{{"role", "assistant"}, {"content", nullptr}}));
  std::string text;
  for (size_t i = 1; i + 2 < events.size(); ++i) {
    EXPECT_EQ(events[i]["object"], "chat.completion.chunk");
    EXPECT_EQ(events[i]["id"], events[0]["id"]);
    EXPECT_TRUE(events[i]["choices"][0]["finish_reason"].is_null());
    EXPECT_TRUE(events[i]["usage"].is_null());
    text += events[i]["choices"][0]["delta"]["content"].get<std::string>();
  }
  EXPECT_EQ(text, whole["choices"][0]["message"]["content"]);
  const Json& last = events[events.size() - 2];
  EXPECT_EQ(last["choices"][0]["delta"], Json::object());
  EXPECT_EQ(last["choices"][0]["finish_reason"], whole["choices"][0]["finish_reason"]);
  EXPECT_EQ(events.back()["choices"], Json::array());
  EXPECT_EQ(events.back()["usage"], whole["usage"]);

  const std::vector<Json> plain =
      Events(Ask(Post(kComplete, R"({"prompt": "a", "stream": true})")).body);
  EXPECT_EQ(plain[0]["object"], "text_completion");
  EXPECT_FALSE(plain[0].contains("usage"));
  EXPECT_TRUE(plain[0]["choices"][0]["text"].is_string());
}

TEST_F(ServerTest, EightStreamsSayWhatEachSaysAlone) {
  options_.engine.parallel = 3;
  Start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->port()));
    clients.back()->Send(Post(
        kComplete, Cat(R"({"prompt": "Prompt )", i, R"(", "max_tokens": 30, "stream": true})")));
  }
  SamplingOptions sampling;
  sampling.max_tokens = 30;
  for (int i = 0; i < 8; ++i) {
    std::string text;
    for (const Json& event : Events(clients[static_cast<size_t>(i)]->Read().body)) {
      text += event["choices"][0]["text"].get<std::string>();
    }
    EXPECT_EQ(text, Alone(tokenizer_.EncodePrompt(Cat("Prompt ", i)), sampling).text) << i;
  }
  EXPECT_TRUE(EventuallyIdle());
}

TEST_F(ServerTest, ListsTheModelAndItsHealth) {
  Start();
  const Json list = ParseJson(Ask(Get("/v1/models")).body, "");
  EXPECT_EQ(list["object"], "list");
  EXPECT_EQ(list["data"][0]["id"], "tiny");
  EXPECT_EQ(list["data"][0]["object"], "model");
  for (const char* path :
       {"/v1/models/tiny", "/v1/models/t%69ny", "http://localhost/v1/models/tiny"})
    EXPECT_EQ(ParseJson(Ask(Get(path)).body, "")["id"], "tiny") << path;
  const Json other = Refused(404, Ask(Get("/v1/models/gpt")));
  EXPECT_EQ(other["code"], "model_not_found");
  EXPECT_EQ(ParseJson(Ask(Get("/health?x=1")).body, "")["status"], "ok");
}

TEST_F(ServerTest, KeepsAConnectionForManyRequests) {
  Start();
  RawClient client(server_->port());
  for (int i = 0; i < 3; ++i) {
    client.Send(Get("/health"));
    EXPECT_EQ(client.Read().status, 200);
    client.Send(Post(kComplete, R"({"prompt": "a", "max_tokens": 3, "stream": true})"));
    EXPECT_EQ(client.Read().status, 200);
    client.Send(Get("/nothing"));
    EXPECT_EQ(client.Read().status, 404);
  }
  client.Send(Get("/health") + Get("/v1/models"));  // both at once
  EXPECT_NE(client.Read().body.find("ok"), std::string::npos);
  EXPECT_NE(client.Read().body.find("tiny"), std::string::npos);
  client.Send(Get("/health", "Connection: close\r\n"));
  EXPECT_EQ(client.Read().status, 200);
  EXPECT_TRUE(client.AtEnd());

  RawClient old(server_->port());  // HTTP/1.0 knows no chunks
  old.Send(
      "POST /v1/completions HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 44\r\n\r\n"
      R"({"prompt":"a","max_tokens":3,"stream": true})");
  const RawAnswer answer = old.Read();
  EXPECT_EQ(answer.chunks, 0);
  EXPECT_GE(Events(answer.body).size(), 1u);
}

TEST_F(ServerTest, AnswersOtherMethods) {
  Start();
  EXPECT_EQ(Refused(405, Ask(Get(kChat)))["type"], "invalid_request_error");
  EXPECT_EQ(Ask(Get(kChat)).headers.at("allow"), "POST, OPTIONS");
  Refused(405, Ask(Post("/health", "{}")));
  Refused(404, Ask(Get("/v1/nothing")));
  const RawAnswer options = Ask(Get(kChat, "", "OPTIONS"));
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.headers.at("allow"), "POST, OPTIONS");
  RawClient client(server_->port());
  client.Send(Get("/health", "", "HEAD"));
  EXPECT_GT(std::stoi(client.Read(true).headers.at("content-length")), 2);
  client.Send(Get("/health"));  // a body after the HEAD's answer would be read as this one's
  EXPECT_EQ(client.Read().status, 200);
}

TEST_F(ServerTest, NamesTheFiguresOfAPromptThatIsTooLong) {
  options_.engine.context = 64;
  Start();
  const Json error = Refused(400, kComplete, Cat(R"({"prompt": ")", std::string(100, 'a'), "\"}"));
  EXPECT_EQ(error["code"], "context_length_exceeded");
  const auto tokens = tokenizer_.EncodePrompt(std::string(100, 'a')).size();
  EXPECT_NE(error["message"].get<std::string>().find(Cat(tokens)), std::string::npos);
  EXPECT_NE(error["message"].get<std::string>().find("64"), std::string::npos);
}

TEST_F(ServerTest, CompletesTextWithoutATemplate) {
  Start(/*chat=*/false);
  const Json error = Refused(400, kChat, R"({"messages": [{"role": "user", "content": "a"}]})");
  EXPECT_EQ(error["message"], "no template here");
  EXPECT_EQ(Ask(Post(kComplete, R"({"prompt": "a", "max_tokens": 2})")).status, 200);
}

TEST_F(ServerTest, AFailedStepIsAnsweredAndServedOn) {
  Start();
  Var& final_norm = model_->gains[static_cast<size_t>(model_->layout.final_norm.gain)];
  const Var norm = final_norm;
  const int64_t width = model_->config.width;
  final_norm = {
      backend_->FromFloats(std::vector<float>(static_cast<size_t>(width), std::nanf("")), {width})};
  const std::string asks = R"({"prompt": "a", "max_tokens": 4})";
  EXPECT_EQ(Refused(500, kComplete, asks)["type"], "server_error");
  // A stream's header has been sent by then, so its client is told in an event.
  const RawAnswer stream = Ask(Post(kComplete, R"({"prompt": "a", "stream": true})"));
  EXPECT_EQ(stream.status, 200);
  EXPECT_EQ(stream.body.find("data: {\"error\":"), 0u) << stream.body;
  EXPECT_TRUE(EventuallyIdle());
  final_norm = norm;
  EXPECT_EQ(Ask(Post(kComplete, asks)).status, 200);
}

TEST_F(ServerTest, SaysWhyItCannotListen) {
  Start();
  ServerOptions taken = options_;
  taken.http.port = server_->port();
  const ServedModel served{*model_, nullptr, tokenizer_, "tiny", {}, ""};
  EXPECT_THROW(Server(served, taken), Error);
  taken.http.host = "no such host";
  EXPECT_THROW(Server(served, taken), Error);
}

}  // namespace
}  // namespace retort
