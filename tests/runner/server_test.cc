// SPDX-License-Identifier: Apache-2.0
#include "runner/server.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/json.h"
#include "tests/runner/http_client.h"
#include "tests/support/random_model.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

using namespace std::chrono_literals;

std::string Post(const std::string& path, const std::string& body, const std::string& more = "") {
  return Cat("POST ", path, " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n", more,
             "Content-Length: ", body.size(), "\r\n\r\n", body);
}
std::string Get(const std::string& path, const std::string& more = "",
                const std::string& method = "GET") {
  return Cat(method, " ", path, " HTTP/1.1\r\nHost: x\r\n", more, "\r\n");
}

constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kComplete = "/v1/completions";

// The JSON objects of an event stream; fails where the framing is not the exact one.
std::vector<Json> Events(const std::string& body) {
  std::vector<Json> events;
  size_t at = 0;
  while (at < body.size()) {
    const size_t end = body.find("\n\n", at);
    EXPECT_EQ(body.compare(at, 6, "data: "), 0) << body.substr(at, 60);
    if (end == std::string::npos) break;
    const std::string data = body.substr(at + 6, end - at - 6);
    at = end + 2;
    if (data == "[DONE]") {
      EXPECT_EQ(at, body.size()) << "something after [DONE]";
      return events;
    }
    events.push_back(ParseJson(data, "event"));
  }
  ADD_FAILURE() << "no [DONE]";
  return events;
}

// A server in this process, of a random model over bytes.
class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    DenseConfig config = SmallConfig(tokenizer_.vocab_size());
    model_ = RandomModel(config, kSeed, *backend_, kSize);
    options_.http.port = 0;
    options_.http.grace = 500ms;
  }
  ~ServerTest() override { Stop(); }

  void Start(bool chat = true) {
    ServedModel served{*model_, nullptr, tokenizer_, "tiny", {}, "no template here"};
    if (chat) served.chat = ChatTemplate::Named("chatml");
    server_.emplace(std::move(served), options_);
    thread_ = std::thread([this] { server_->Run(); });
  }
  void Stop() {
    if (!thread_.joinable()) return;
    server_->Stop();
    thread_.join();
    server_.reset();
  }
  RawAnswer Ask(const std::string& request) {
    RawClient client(server_->port());
    client.Send(request);
    return client.Read();
  }
  Json AskJson(const std::string& request) { return ParseJson(Ask(request).body, "answer"); }
  // Expects this status, and the error's shape.
  Json Refused(int status, const RawAnswer& answer) {
    EXPECT_EQ(answer.status, status) << answer.body;
    if (answer.status != status) return {};
    const Json error = ParseJson(answer.body, "error")["error"];
    EXPECT_TRUE(error["message"].is_string() && error["type"].is_string());
    EXPECT_TRUE(error.contains("param") && error.contains("code"));
    return error;
  }
  Json Refused(int status, const std::string& path, const std::string& body) {
    return Refused(status, Ask(Post(path, body)));
  }
  // What an engine says to the same ids, alone and with a backend of its own: the server's is the
  // engine's thread's.
  Generation Alone(std::vector<int32_t> prompt, SamplingOptions sampling) {
    const auto backend = MakeReferenceBackend();
    const auto model = RandomModel(model_->config, kSeed, *backend, kSize);
    Engine engine(*model, nullptr, tokenizer_, options_.engine);
    return Generate(engine, std::move(prompt), sampling);
  }
  bool Eventually(const std::function<bool(const EngineCounts&)>& holds) {
    for (int i = 0; i < 500; ++i) {
      if (holds(server_->counts())) return true;
      std::this_thread::sleep_for(20ms);
    }
    return false;
  }
  bool EventuallyIdle() {
    return Eventually(
        [](const EngineCounts& c) { return c.live + c.queued + c.cached_tokens == 0; });
  }

  // A request that does not end by itself for a long time, as the model is made to know no end.
  void MakeEndless() {
    model_->config.max_positions = 60000;
    model_->config.ends = {tokenizer_.vocab_size() + 7};
    options_.engine.parallel = 2;
    options_.engine.cache_tokens = 120000;
  }
  static std::string Endless(bool stream) {
    return Post(kComplete, Cat(R"({"prompt": "go", "max_tokens": 50000, "stream": )", stream, "}"));
  }

  static constexpr uint64_t kSeed = 4;
  static constexpr double kSize = 3;
  ByteTokenizer tokenizer_;
  std::unique_ptr<Backend> backend_ = MakeReferenceBackend();
  std::unique_ptr<Model> model_;
  ServerOptions options_;
  std::optional<Server> server_;
  std::thread thread_;
};

TEST_F(ServerTest, CompletesTextAsTheEngineDoes) {
  Start();
  SamplingOptions sampling;
  sampling.max_tokens = 24;
  const Generation alone = Alone(tokenizer_.EncodePrompt("Once"), sampling);
  const RawAnswer answer =
      Ask(Post(kComplete, R"({"model": "x", "prompt": "Once", "max_tokens": 24})"));
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
  EXPECT_EQ(events[0]["choices"][0]["delta"], (Json{{"role", "assistant"}, {"content", ""}}));
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
  EXPECT_EQ(ParseJson(Ask(Get("/v1/models/tiny")).body, "")["id"], "tiny");
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

TEST_F(ServerTest, RefusesWhatItCannotDoByName) {
  Start();
  const auto chat = [](const std::string& more) {
    return Cat(R"({"messages": [{"role": "user", "content": "a"}], )", more, "}");
  };
  EXPECT_EQ(Refused(400, kChat, "{oh")["code"], "invalid_json");
  EXPECT_EQ(Refused(400, kChat, "[]")["code"], "invalid_json");
  EXPECT_EQ(Refused(400, kChat, std::string(100000, '['))["code"], "invalid_json");
  EXPECT_EQ(Refused(400, kChat, "{}")["param"], "messages");
  for (const auto& [param, value] :
       std::map<std::string, std::string>{{"n", "2"},
                                          {"logprobs", "true"},
                                          {"presence_penalty", "0.5"},
                                          {"tools", R"([{"type": "function"}])"},
                                          {"response_format", R"({"type": "json_object"})"},
                                          {"logit_bias", R"({"5": 1})"}}) {
    const Json error = Refused(400, kChat, chat(Cat("\"", param, "\": ", value)));
    EXPECT_EQ(error["param"], param);
    EXPECT_EQ(error["code"], "unsupported_value");
  }
  const Json unknown = Refused(400, kChat, chat(R"("temprature": 1)"));
  EXPECT_EQ(unknown["code"], "unknown_parameter");
  EXPECT_NE(unknown["message"].get<std::string>().find("'temperature'"), std::string::npos);
  for (const auto& [param, value] :
       std::map<std::string, std::string>{{"max_tokens", "0"},
                                          {"max_tokens", "1.5"},
                                          {"temperature", "\"hot\""},
                                          {"stop", "[1]"},
                                          {"stop", "\"\""},
                                          {"stream", "1"},
                                          {"seed", "18446744073709551615"},
                                          {"stream_options", R"({"include_usage": true})"}}) {
    EXPECT_EQ(Refused(400, kChat, chat(Cat("\"", param, "\": ", value)))["param"], param);
  }
  for (const char* bad :
       {R"("temperature": -1)", R"("top_p": 2)", R"("min_p": -0.1)", R"("top_k": -3)"}) {
    Refused(400, kChat, chat(bad));
  }
  EXPECT_EQ(Refused(400, kChat, R"({"messages": [{"role": "tool", "content": "a"}]})")["param"],
            "messages[0].role");
  EXPECT_EQ(
      Refused(400, kChat,
              R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})")["param"],
      "messages[0].content");
  EXPECT_EQ(Refused(400, kComplete, R"({"prompt": ["a", "b"]})")["param"], "prompt");
  EXPECT_EQ(Refused(400, kComplete, R"({"prompt": [1, -1]})")["param"], "prompt");
  EXPECT_EQ(Refused(400, kComplete, R"({"prompt": [1, 9999]})")["param"], "prompt");
  EXPECT_EQ(Refused(400, kComplete, R"({"prompt": "a", "messages": []})")["param"], "messages");
  Refused(
      415,
      Ask("POST /v1/completions HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"));
  EXPECT_EQ(Ask(Post(kChat, chat(R"("max_tokens": 2, "stop": null, "tools": null)"))).status, 200);
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

TEST_F(ServerTest, WantsItsKey) {
  options_.api_key = "sesame";
  Start();
  const std::string body = R"({"prompt": "a", "max_tokens": 2})";
  for (const char* given :
       {"", "Authorization: Bearer sesam\r\n", "Authorization: Bearer sesame2\r\n",
        "Authorization: Bearer sesamE\r\n", "Authorization: sesame\r\n"}) {
    EXPECT_EQ(Refused(401, Ask(Post(kComplete, body, given)))["code"], "invalid_api_key") << given;
  }
  Refused(401, Ask(Get("/v1/models")));
  EXPECT_EQ(Ask(Get("/health")).status, 200);
  EXPECT_EQ(Ask(Post(kComplete, body, "Authorization: Bearer sesame\r\n")).status, 200);
}

TEST_F(ServerTest, BoundsWhatItReads) {
  options_.http.body_limit = 2000;
  options_.http.header_limit = 1000;
  options_.http.read_timeout = 300ms;
  Start();
  Refused(413, Ask(Post(kComplete, std::string(2001, ' '))));
  Refused(413, Ask("POST /v1/completions HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n"));
  Refused(413, Ask(Cat("POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                       "bb8\r\n", std::string(3000, ' '), "\r\n0\r\n\r\n")));
  Refused(431, Ask(Get("/health", Cat("X: ", std::string(1500, 'x'), "\r\n"))));
  Refused(400, Ask("nonsense\r\n\r\n"));
  RawClient slow(server_->port());
  slow.Send("GET /health HTTP/1.1\r\n");  // and never the rest
  EXPECT_TRUE(slow.AtEnd());
  RawClient slower(server_->port());
  slower.Send("POST /v1/completions HTTP/1.1\r\nContent-Length: 100\r\n\r\n{");
  EXPECT_TRUE(slower.AtEnd());
  EXPECT_EQ(Ask(Get("/health")).status, 200);
}

TEST_F(ServerTest, BoundsItsConnections) {
  options_.http.connections = 2;
  Start();
  RawClient first(server_->port()), second(server_->port());
  for (RawClient* client : {&first, &second}) {
    client->Send(Get("/health"));
    EXPECT_EQ(client->Read().status, 200);
  }
  RawClient third(server_->port());
  EXPECT_EQ(third.Read().status, 503);
  first.Send(Get("/health", "Connection: close\r\n"));
  EXPECT_EQ(first.Read().status, 200);
  first.Close();
  bool again = false;
  for (int i = 0; i < 100 && !again; ++i, std::this_thread::sleep_for(20ms))
    again = Ask(Get("/health")).status == 200;
  EXPECT_TRUE(again);
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
  EXPECT_EQ(Refused(503, full)["code"], "queue_full");
  EXPECT_EQ(full.headers.at("retry-after"), "1");

  queued.reset();
  EXPECT_TRUE(Eventually([](const EngineCounts& c) { return c.live == 2 && c.queued == 0; }));
  streaming.reset();
  EXPECT_TRUE(Eventually([](const EngineCounts& c) { return c.live == 1; }));
  waiting.reset();
  EXPECT_TRUE(EventuallyIdle());
  EXPECT_EQ(Ask(Post(kComplete, R"({"prompt": "a", "max_tokens": 2})")).status, 200);
}

TEST_F(ServerTest, AFailedStepIsAnsweredAndServedOn) {
  Start();
  Var& final_norm = model_->gains[static_cast<size_t>(model_->layout.final_norm)];
  const Var norm = final_norm;
  const int64_t width = model_->config.width;
  final_norm = {
      backend_->FromFloats(std::vector<float>(static_cast<size_t>(width), std::nanf("")), {width})};
  const std::string asks = R"({"prompt": "a", "max_tokens": 4})";
  EXPECT_EQ(Refused(500, kComplete, asks)["type"], "server_error");
  EXPECT_EQ(Refused(500, kComplete, R"({"prompt": "a", "stream": true})")["type"], "server_error");
  EXPECT_TRUE(EventuallyIdle());
  final_norm = norm;
  EXPECT_EQ(Ask(Post(kComplete, asks)).status, 200);
}

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
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  EXPECT_TRUE(idle.AtEnd());
  EXPECT_EQ(streaming.Read().status, 0);  // cut off, and told so by the missing last chunk
}

TEST_F(ServerTest, EndsAnAnswerBeforeItStops) {
  options_.http.grace = 20s;
  Start();
  RawClient client(server_->port());
  client.Send(Post(kComplete, R"({"prompt": "a", "max_tokens": 40, "stream": true})"));
  ASSERT_TRUE(client.Await("data: "));
  Stop();
  EXPECT_GE(Events(client.Read().body).size(), 2u);
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
