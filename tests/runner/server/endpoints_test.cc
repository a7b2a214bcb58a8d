// SPDX-License-Identifier: Apache-2.0
// What is answered beside chats and texts: tokens, embeddings, metrics, and what the server is.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

TEST_F(ServerTest, TellsTokensAndTexts) {
  Start();
  const auto plain = tokenizer_.Encode("Once");
  EXPECT_EQ(AskJson(Post("/tokenize", R"({"content": "Once"})"))["tokens"], plain);
  EXPECT_EQ(AskJson(Post("/tokenize", R"({"content": "Once", "add_special": true})"))["tokens"],
            tokenizer_.EncodePrompt("Once"));
  const Json pieces = AskJson(Post("/tokenize", R"({"content": "Once", "with_pieces": true})"));
  EXPECT_EQ(pieces["tokens"].back(), (Json{{"id", plain.back()}, {"piece", "e"}}));
  const Json theirs = AskJson(Post("/tokenize", R"({"prompt": "Once"})"));
  EXPECT_EQ(theirs["count"], tokenizer_.EncodePrompt("Once").size());
  EXPECT_EQ(theirs["max_model_len"], server_->context());
  const std::string chat = R"({"messages": [{"role": "user", "content": "Hi"}]})";
  const Json tokens = AskJson(Post("/tokenize", chat))["tokens"];
  EXPECT_EQ(tokens.size(), AskJson(Post(kChat, chat))["usage"]["prompt_tokens"]);
  EXPECT_EQ(AskJson(Post("/apply-template", chat))["prompt"],
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(
      AskJson(Post("/detokenize", Cat(R"({"tokens": )", DumpJson(Json(plain)), "}")))["content"],
      "Once");
  EXPECT_EQ(Refused(404, "/tokenize", R"({"content": "a", "model": "x"})")["param"], "model");
  EXPECT_EQ(Refused(404, "/detokenize", R"({"tokens": [], "model": "x"})")["param"], "model");
  EXPECT_EQ(Refused(400, "/tokenize", R"({"messages": [{"role": "user", "content": "Hi"}],
      "add_special_tokens": true})")["param"],
            "add_special_tokens");
  EXPECT_EQ(Refused(400, "/tokenize", R"({"content": 5})")["param"], "content");
  EXPECT_EQ(Refused(400, "/tokenize", R"({"content": "a", "colour": 5})")["param"], "colour");
  EXPECT_EQ(Refused(400, "/detokenize", R"({"tokens": [99999]})")["param"], "tokens");
}

TEST_F(ServerTest, EmbedsTexts) {
  Start();
  const std::string ask = R"("input": ["Once", "upon a time"])";
  const Json plain = AskJson(Post("/v1/embeddings", Cat("{", ask, "}")));
  ASSERT_EQ(plain["data"].size(), 2u);
  EXPECT_EQ(plain["data"][1]["index"], 1);
  const auto values = plain["data"][0]["embedding"].get<std::vector<float>>();
  EXPECT_EQ(std::ssize(values), model_->config.width);
  double squares = 0;
  for (const float value : values) squares += value * value;
  EXPECT_NEAR(squares, 1, 1e-5);
  EXPECT_EQ(plain["usage"]["prompt_tokens"],
            tokenizer_.EncodePrompt("Once").size() + tokenizer_.EncodePrompt("upon a time").size());
  // Four base64 digits for three bytes, of 4 a value.
  const Json base64 =
      AskJson(Post("/v1/embeddings", Cat("{", ask, R"(, "encoding_format": "base64"})")));
  EXPECT_EQ(base64["data"][0]["embedding"].get<std::string>().size(),
            (values.size() * 4 + 2) / 3 * 4);
  const Json last = AskJson(Post("/v1/embeddings", Cat("{", ask, R"(, "pooling": "last"})")));
  EXPECT_NE(last["data"][0]["embedding"], plain["data"][0]["embedding"]);
  const Json fewer = AskJson(Post("/v1/embeddings", Cat("{", ask, R"(, "dimensions": 4})")));
  EXPECT_EQ(fewer["data"][0]["embedding"].size(), 4u);
  EXPECT_EQ(Refused(400, "/v1/embeddings", Cat("{", ask, R"(, "dimensions": 100000})"))["param"],
            "dimensions");
  EXPECT_EQ(Refused(400, "/v1/embeddings", R"({"input": "a", "pooling": "max"})")["param"],
            "pooling");
  EXPECT_TRUE(EventuallyIdle());
}

// The value of a line of metrics.
double Metric(const std::string& text, const std::string& name) {
  const size_t at = text.find(Cat("\n", name, " "));
  return at == std::string::npos ? NAN : std::stod(text.substr(at + name.size() + 2));
}

TEST_F(ServerTest, CountsWhatItsClientsAreTold) {
  Start();
  int64_t prompt = 0, generated = 0;
  const auto count = [&](const Json& usage) {
    prompt += usage["prompt_tokens"].get<int64_t>();
    generated += usage["completion_tokens"].get<int64_t>();
  };
  count(AskJson(Post(kComplete, R"({"prompt": "a", "max_tokens": 7})"))["usage"]);
  count(AskJson(
      Post(kComplete, R"({"prompt": "a", "max_tokens": 7, "n": 2, "best_of": 3})"))["usage"]);
  count(Events(Ask(Post(kChat, R"({"messages": [{"role": "user", "content": "a"}], "max_tokens": 5,
      "stream": true, "stream_options": {"include_usage": true}})"))
                   .body)
            .back()["usage"]);
  Refused(400, kComplete, "{");
  Refused(404, Ask(Get("/nope")));
  const RawAnswer answer = Ask(Get("/metrics"));
  EXPECT_EQ(answer.headers.at("content-type").substr(0, 10), "text/plain");
  const std::string& text = answer.body;
  EXPECT_EQ(Metric(text, R"(retort_requests_total{endpoint="completions",status="200"})"), 2);
  EXPECT_EQ(Metric(text, R"(retort_requests_total{endpoint="completions",status="400"})"), 1);
  EXPECT_EQ(Metric(text, R"(retort_requests_total{endpoint="chat",status="200"})"), 1);
  EXPECT_EQ(Metric(text, R"(retort_requests_total{endpoint="none",status="404"})"), 1);
  EXPECT_EQ(Metric(text, "retort_prompt_tokens_total"), static_cast<double>(prompt));
  EXPECT_EQ(Metric(text, "retort_generation_tokens_total"), static_cast<double>(generated));
  EXPECT_EQ(Metric(text, "retort_request_seconds_count"), 3);
  EXPECT_EQ(Metric(text, R"(retort_request_seconds_bucket{le="+Inf"})"), 3);
}

TEST_F(ServerTest, CountsUnderLlamaCppsNamesToo) {
  Start();
  const std::string ask = Cat(R"({"max_tokens": 7, "prompt": ")", std::string(100, 'a'), R"("})");
  int64_t prompt = 0, cached = 0, generated = 0;
  for (int i = 0; i < 2; ++i) {
    const Json timings = AskJson(Post(kComplete, ask))["timings"];
    prompt += timings["prompt_n"].get<int64_t>();
    cached += timings["cache_n"].get<int64_t>();
    generated += timings["predicted_n"].get<int64_t>();
  }
  EXPECT_GT(cached, 0);
  EXPECT_TRUE(EventuallyIdle());
  const RawAnswer answer = Ask(Get("/metrics"));
  EXPECT_GT(std::stoll(answer.headers.at("process-start-time-unix")), 1'700'000'000);
  const std::string& text = answer.body;
  const auto value = [&](const std::string& name) { return Metric(text, "llamacpp:" + name); };
  EXPECT_EQ(value("prompt_tokens_total"), static_cast<double>(prompt));
  EXPECT_EQ(value("prompt_tokens_cached_total"), static_cast<double>(cached));
  EXPECT_EQ(value("tokens_predicted_total"), static_cast<double>(generated));
  EXPECT_EQ(value("n_tokens_max"), static_cast<double>((prompt + cached + generated) / 2));
  EXPECT_GT(value("prompt_seconds_total"), 0);
  EXPECT_NEAR(value("predicted_tokens_seconds") * value("tokens_predicted_seconds_total"),
              static_cast<double>(generated - 2), 1e-3);
  EXPECT_EQ(value("n_decode_total"), Metric(text, "retort_steps_total"));
  EXPECT_EQ(value("n_busy_slots_per_decode"), 1);  // one after the other
  EXPECT_EQ(value("spec_decode_num_drafts_total"), 0);
  EXPECT_EQ(value("requests_processing"), 0);
}

TEST_F(ServerTest, TellsWhatItIs) {
  options_.version = "9.9";
  options_.engine.parallel = 1;
  options_.queue = 0;
  MakeEndless();
  options_.engine.parallel = 1;
  Start();
  EXPECT_EQ(AskJson(Get("/version"))["version"], "9.9");
  EXPECT_EQ(AskJson(Get("/api/version"))["version"], "9.9");
  const Json props = AskJson(Get("/props"));
  EXPECT_EQ(props["total_slots"], 1);
  EXPECT_EQ(props["model_alias"], "tiny");
  EXPECT_EQ(props["default_generation_settings"]["n_ctx"], server_->context());
  EXPECT_EQ(AskJson(Get("/api/tags"))["models"][0]["name"], "tiny");
  EXPECT_EQ(AskJson(Post("/api/show", R"({"model": "tiny"})"))["capabilities"][0], "completion");
  EXPECT_EQ(Ask(Post("/api/show", R"({"model": "other"})")).status, 404);
  EXPECT_EQ(AskJson(Get("/models"))["data"][0]["id"], "tiny");
  EXPECT_EQ(Ask(Get("/livez")).status, 200);
  EXPECT_EQ(Ask(Get("/readyz")).status, 200);
  RawClient client(server_->port());
  client.Send(Endless(true));
  ASSERT_TRUE(Eventually([](const EngineCounts& c) { return c.live == 1; }));
  EXPECT_EQ(Ask(Get("/livez")).status, 200);
  EXPECT_EQ(Ask(Get("/readyz")).status, 503);
}

}  // namespace
}  // namespace retort
