// SPDX-License-Identifier: Apache-2.0
#include "bench/load/load.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/json.h"
#include "bench/load/answer_times.h"
#include "runner/http/server.h"

namespace retort {
namespace {

TEST(ServerAddress, ReadsUrls) {
  const ServerAddress plain = ParseServerUrl("http://localhost:8080");
  EXPECT_EQ(plain.host + "|" + plain.port + "|" + plain.path, "localhost|8080|/v1");
  const ServerAddress proxied = ParseServerUrl("http://a.example/llm/v1/");
  EXPECT_EQ(proxied.host + "|" + proxied.port + "|" + proxied.path, "a.example|80|/llm/v1");
  EXPECT_EQ(plain.HostField(), "localhost:8080");
  const ServerAddress v6 = ParseServerUrl("http://[::1]:9/");
  EXPECT_EQ(v6.host + "|" + v6.port + "|" + v6.path, "::1|9|/v1");
  EXPECT_EQ(v6.HostField(), "[::1]:9");
  for (const char* bad : {"localhost:8080", "https://a.example", "http://", "http://:80"})
    EXPECT_THROW(ParseServerUrl(bad), Error) << bad;
}

TEST(Percentiles, AreOfTheNearestRank) {
  std::vector<double> hundred;
  hundred.reserve(100);
  for (int i = 100; i > 0; --i) hundred.push_back(i);
  const Percentiles p = PercentilesOf(hundred);
  EXPECT_EQ(p.p50, 50);
  EXPECT_EQ(p.p95, 95);
  EXPECT_EQ(p.p99, 99);
}

TEST(Percentiles, AreAbsentWithTooFewValues) {
  EXPECT_FALSE(PercentilesOf({}).p50);
  EXPECT_EQ(PercentilesOf({7}).p50, 7);
  EXPECT_FALSE(PercentilesOf(std::vector<double>(19, 7)).p95);
  EXPECT_EQ(PercentilesOf(std::vector<double>(20, 7)).p95, 7);
  EXPECT_FALSE(PercentilesOf(std::vector<double>(99, 7)).p99);
}

TEST(Requests, AreEnoughForPercentiles) {
  EXPECT_EQ(RequestsOf({}, {.clients = 1}), 40);
  EXPECT_EQ(RequestsOf({}, {.clients = 64}), 256);
  EXPECT_EQ(RequestsOf({}, {.rate = 0.5}), 100);
  EXPECT_EQ(RequestsOf({}, {.rate = 20}), 600);
  EXPECT_EQ(RequestsOf({.requests = 7}, {.rate = 20}), 7);
}

TEST(Knee, HasTheMostThroughputForItsTime) {
  const auto result = [](double rate, double seconds) {
    LoadResult r;
    r.tokens_per_second = rate;
    r.whole.p50 = seconds;
    return r;
  };
  EXPECT_EQ(KneeOf({result(10, 1), result(19, 1.1), result(30, 2), result(31, 4)}), 1u);
  EXPECT_EQ(KneeOf({result(0, 0), result(5, 1)}), 1u);
}

TEST(Knee, IsWhereRequestsAreAnswered) {
  const auto result = [](double rate, int64_t failed) {
    LoadResult r;
    r.tokens_per_second = rate;
    r.whole.p50 = 1;
    r.answered = 100 - failed;
    r.failed = failed;
    return r;
  };
  EXPECT_EQ(KneeOf({result(10, 0), result(20, 1), result(30, 2)}), 1u);
  EXPECT_EQ(KneeOf({result(10, 5), result(20, 50)}), 1u) << "all fail";
}

// Of pieces that come after 1 s, 2 s, ...
AnswerTimes TimesOf(const std::vector<std::string>& pieces) {
  const AnswerTimes::Clock::time_point since;
  AnswerTimes times(since);
  int seconds = 0;
  for (const std::string& piece : pieces)
    times.Take(piece, since + std::chrono::seconds(++seconds));
  times.End();
  return times;
}

TEST(AnswerTimes, ReadsStreamsInAnyPieces) {
  const std::string usage =
      R"(data: {"choices": [], "usage": {"completion_tokens": 9, "prompt_tokens": 4}})";
  const AnswerTimes times =
      TimesOf({": waiting\n\ndata: {\"choices\": [{\"delta\": {\"role\": \"assistant\", "
               "\"content\": \"\"}}]}",
               "\n\nda", R"(ta: {"choices": [{"delta": {"content": "a"}}], "usage": null})",
               "\r\n\r\n", "data: {\"choices\": [{\"delta\": {\"reasoning_content\": \"b\"}}]}\n\n",
               "data: {\"choices\": [{\"text\": \"c\"}]}\n\n" + usage + "\n\ndata: [DONE]\n\n"});
  EXPECT_EQ(times.first(), 4);
  EXPECT_EQ(times.between(), (std::vector<double>{1, 1}));
  EXPECT_EQ(times.whole(), 6);
  EXPECT_EQ(times.each(), 2. / 8);
  EXPECT_EQ(times.tokens(), 9);
  EXPECT_EQ(times.prompt_tokens(), 4);
}

std::string Delta(const std::string& delta) {
  return Cat("data: {\"choices\": [{\"delta\": ", delta, "}]}\n\n");
}

TEST(AnswerTimes, CountFromTheFirstTextOrCall) {
  const std::string done = "data: [DONE]\n\n";
  const AnswerTimes called =
      TimesOf({Delta(R"({"tool_calls": null})"), Delta(R"({"tool_calls": []})"),
               Delta(R"({"tool_calls": [{"index": 0}]})"), done});
  EXPECT_EQ(called.first(), 3);
  EXPECT_FALSE(called.each()) << "one token";
  EXPECT_EQ(TimesOf({": x\n", Delta(R"({"reasoning": "r"})"), done}).first(), 2);
}

TEST(AnswerTimes, BelievesNoImpossibleCounts) {
  const std::string end = "data: [DONE]\n\n";
  for (const char* count : {"-1", "1000001", "18446744073709551615", "\"9\"", "1e3"}) {
    const std::string usage = Cat(R"(data: {"usage": {"completion_tokens": )", count, "}}\n");
    EXPECT_EQ(TimesOf({Delta(R"({"content": "a"})"), usage, end}).tokens(), 1) << count;
  }
}

TEST(AnswerTimes, RefusesStreamsThatFail) {
  const std::string text = "data: {\"choices\": [{\"text\": \"c\"}]}\n\n";
  EXPECT_THROW(TimesOf({text}), Error) << "cut off";
  EXPECT_THROW(TimesOf({"data: [DONE]\n\n"}), Error) << "no text";
  EXPECT_THROW(TimesOf({text, "data: {\"error\": {\"message\": \"m\"}}\n\n"}), Error);
  EXPECT_THROW(TimesOf({text, "data: {\n\n"}), Error);
  EXPECT_THROW(TimesOf({"data: " + std::string(2 << 20, ' ')}), Error) << "a line without an end";
}

// A server whose answers have three tokens. Every fifth request is refused if `refuses`.
class LoadTest : public testing::Test {
 protected:
  void Start() {
    HttpOptions options;
    options.port = 0;
    HttpHandlers handlers;
    handlers.judge = [](const HttpHead& head) -> std::optional<HttpAnswer> {
      if (head.method == "POST") return std::nullopt;
      return HttpAnswer{200, R"({"data": [{"id": "scripted"}]})", "application/json", {}};
    };
    handlers.handle = [this](const auto& request, const auto& exchange) {
      Answer(*request, *exchange);
    };
    handlers.fault_body = [](int, const std::string& message, std::string_view) { return message; };
    server_ = std::make_unique<HttpServer>(options, std::move(handlers));
    thread_ = std::thread([this] { server_->Run(); });
    address_ = ResolveServerUrl(server_->urls()[0]);
  }
  ~LoadTest() override {
    if (!thread_.joinable()) return;
    server_->Stop();
    thread_.join();
  }
  void Answer(const HttpRequest& request, HttpExchange& exchange) {
    bodies_.push_back(ParseJson(request.body, "request"));
    paths_.push_back(request.head.path);
    if (refuses_ && bodies_.size() % 5 == 0)
      return exchange.Answer({429, "full", "text/plain", {}});
    exchange.Begin({"text/event-stream", "", ""});
    for (const char* text : {"a", "b", "c"})
      exchange.Send(Cat("data: {\"choices\": [{\"delta\": {\"content\": \"", text, "\"}}]}\n\n"));
    exchange.Send("data: {\"choices\": [], \"usage\": {\"completion_tokens\": 3, ");
    exchange.Send("\"prompt_tokens\": 40}}\n\ndata: [DONE]\n\n");
    exchange.End();
  }
  LoadResult Run(LoadLevel level) {
    return RunLoad(address_, plan_, level, [this](int64_t done, int64_t of) {
      EXPECT_EQ(done, ++done_);
      EXPECT_LE(done, of);
    });
  }

  bool refuses_ = false;
  LoadPlan plan_;
  ServerAddress address_;
  int64_t done_ = 0;
  std::vector<Json> bodies_;  // used on the server's thread, and when all are answered
  std::vector<std::string> paths_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

TEST_F(LoadTest, AsksInAClosedLoop) {
  Start();
  EXPECT_EQ(FirstModelOf(address_, ""), "scripted");
  plan_.model = "scripted";
  plan_.lengths = {{5, 7}, {9, 11}};
  const LoadResult result = Run({.clients = 3});
  EXPECT_EQ(result.answered, 40);
  EXPECT_EQ(result.failed, 0);
  EXPECT_EQ(result.answer_tokens, 3);
  EXPECT_EQ(result.prompt_tokens, 40);
  EXPECT_GT(result.tokens_per_second, 0);
  EXPECT_NEAR(result.tokens_per_second, 3 * result.requests_per_second, 1e-6);
  EXPECT_LE(result.first.p50, result.whole.p50);
  std::map<int64_t, int> lengths;
  for (const Json& body : bodies_) {
    ++lengths[body["max_tokens"].get<int64_t>()];
    EXPECT_TRUE(body["stream"].get<bool>() && body["stream_options"]["include_usage"].get<bool>());
  }
  EXPECT_EQ(lengths, (std::map<int64_t, int>{{7, 20}, {11, 20}}));
}

TEST_F(LoadTest, NeverRepeatsAPrompt) {
  Start();
  for (const auto& [seed, part] :
       std::vector<std::pair<uint64_t, uint64_t>>{{1, 0}, {1, 1}, {2, 0}}) {
    plan_.seed = seed;
    plan_.part = part;
    Run({.clients = 2});
    done_ = 0;
  }
  std::set<std::string> beginnings;
  for (const Json& body : bodies_) {
    const std::string prompt = body["messages"][0]["content"];
    beginnings.insert(prompt.substr(0, prompt.find(':')));
  }
  EXPECT_EQ(beginnings.size(), 120u) << "prompts that the server could have in its cache";
}

TEST_F(LoadTest, AsksInAnOpenLoop) {
  Start();
  plan_.requests = 20;
  plan_.chat = false;
  plan_.ignore_eos = true;
  const LoadResult result = Run({.rate = 200});
  EXPECT_EQ(result.answered, 20);
  EXPECT_LT(result.requests_per_second, 2000) << "they did not wait for their time";
  EXPECT_EQ(paths_[0], "/v1/completions");
  EXPECT_TRUE(bodies_[0]["prompt"].is_string() && bodies_[0]["ignore_eos"].get<bool>());
}

TEST_F(LoadTest, CountsWhatFails) {
  refuses_ = true;
  Start();
  const LoadResult result = Run({.clients = 2});
  EXPECT_EQ(result.answered, 32);
  EXPECT_EQ(result.failed, 8);
  EXPECT_NE(result.fault.find("429"), std::string::npos) << result.fault;
}

TEST_F(LoadTest, TellsThatNobodyIsThere) {
  Start();
  server_->Stop();
  thread_.join();
  server_.reset();
  EXPECT_THROW(FirstModelOf(address_, ""), Error);
  plan_.requests = 3;
  const LoadResult closed = Run({.clients = 1});
  EXPECT_EQ(closed.failed, 3);
  EXPECT_FALSE(closed.whole.p50);
  done_ = 0;
  EXPECT_EQ(Run({.rate = 1000}).failed, 3);
}

}  // namespace
}  // namespace retort
