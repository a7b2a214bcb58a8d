// SPDX-License-Identifier: Apache-2.0
// Several answers, several prompts, echoes, log-probabilities, and answers that are continued.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

TEST_F(ServerTest, GivesSeveralAnswers) {
  Start();
  const std::string ask = R"("prompt": "Once", "max_tokens": 6, "temperature": 1, "seed": 5)";
  const Json three = AskJson(Post(kComplete, Cat("{", ask, R"(, "n": 3})")));
  ASSERT_EQ(three["choices"].size(), 3u);
  EXPECT_EQ(three["usage"]["prompt_tokens"], tokenizer_.EncodePrompt("Once").size());
  EXPECT_LE(three["usage"]["completion_tokens"], 18);
  std::set<std::string> texts;
  for (size_t i = 0; i < 3; ++i) {
    const Json& choice = three["choices"][i];
    EXPECT_EQ(choice["index"], i);
    texts.insert(choice["text"].get<std::string>());
    SamplingOptions sampling;
    sampling.max_tokens = 6, sampling.temperature = 1, sampling.seed = 5 + i;
    EXPECT_EQ(choice["text"],
              ParseJson(DumpJson(Alone(tokenizer_.EncodePrompt("Once"), sampling).text), "text"));
  }
  EXPECT_GT(texts.size(), 1u);
  // Streamed, they are told apart by their index.
  std::vector<std::string> streamed(3);
  for (const Json& event :
       Events(Ask(Post(kComplete, Cat("{", ask, R"(, "n": 3, "stream": true})"))).body)) {
    for (const Json& choice : event["choices"])
      streamed[choice["index"].get<size_t>()] += choice["text"].get<std::string>();
  }
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(streamed[i], three["choices"][i]["text"]);
  EXPECT_TRUE(EventuallyIdle());
}

TEST_F(ServerTest, TellsTheLikeliestOfMoreAnswers) {
  Start();
  const std::string ask =
      R"("prompt": "Once", "max_tokens": 4, "temperature": 2, "seed": 5, "logprobs": 0)";
  const auto mean = [](const Json& choice) {
    double sum = 0;
    const Json& logprobs = choice["logprobs"]["token_logprobs"];
    for (const Json& one : logprobs) sum += one.get<double>();
    return logprobs.empty() ? -INFINITY : sum / static_cast<double>(logprobs.size());
  };
  const Json all = AskJson(Post(kComplete, Cat("{", ask, R"(, "n": 4})")));
  const Json best = AskJson(Post(kComplete, Cat("{", ask, R"(, "n": 1, "best_of": 4})")));
  ASSERT_EQ(best["choices"].size(), 1u);
  double most = -INFINITY;
  for (const Json& choice : all["choices"]) most = std::max(most, mean(choice));
  EXPECT_EQ(mean(best["choices"][0]), most);
  EXPECT_EQ(best["usage"]["completion_tokens"], all["usage"]["completion_tokens"]);
}

TEST_F(ServerTest, AnswersSeveralPrompts) {
  Start();
  const Json two = AskJson(Post(
      kComplete,
      R"({"prompt": ["Once", "upon"], "max_tokens": 5, "n": 2, "temperature": 1, "seed": 3})"));
  ASSERT_EQ(two["choices"].size(), 4u);
  const Json one = AskJson(Post(
      kComplete, R"({"prompt": "upon", "max_tokens": 5, "n": 2, "temperature": 1, "seed": 3})"));
  EXPECT_EQ(two["choices"][2]["text"], one["choices"][0]["text"]);
  EXPECT_EQ(two["choices"][3]["text"], one["choices"][1]["text"]);
  EXPECT_EQ(two["usage"]["prompt_tokens"], 2 * tokenizer_.EncodePrompt("Once").size());
  const Json ids = AskJson(Post(kComplete, R"({"prompt": [[70, 71], [72]], "max_tokens": 2})"));
  EXPECT_EQ(ids["choices"].size(), 2u);
}

TEST_F(ServerTest, PlacesAreTakenForEveryAnswer) {
  options_.engine.parallel = 2;
  options_.queue = 1;
  Start();
  // What could never be served is not to be tried again.
  EXPECT_EQ(Refused(400, kComplete, R"({"prompt": "a", "n": 4, "max_tokens": 1})")["param"], "n");
  EXPECT_EQ(Refused(400, kComplete, R"({"prompt": ["a", "b"], "n": 2})")["param"], "prompt");
  EXPECT_EQ(Refused(400, kComplete, R"({"prompt": "a", "best_of": 4})")["param"], "best_of");
  EXPECT_EQ(Refused(400, "/v1/embeddings", R"({"input": ["a", "b", "c", "d"]})")["param"], "input");
  EXPECT_EQ(Ask(Post(kComplete, R"({"prompt": "a", "n": 3, "max_tokens": 1})")).status, 200);
  EXPECT_EQ(Ask(Post(kComplete, R"({"prompt": "a", "n": 3, "max_tokens": 1})")).status, 200);
}

TEST_F(ServerTest, EchoesAndScoresThePrompt) {
  Start();
  const Json echoed = AskJson(
      Post(kComplete, R"({"prompt": "Once", "max_tokens": 0, "echo": true, "logprobs": 2})"));
  const Json& choice = echoed["choices"][0];
  EXPECT_EQ(choice["text"], "Once");
  EXPECT_EQ(choice["finish_reason"], "length");
  const Json& logprobs = choice["logprobs"];
  // BOS and what is put before a text are tokens, and no part of it.
  ASSERT_EQ(logprobs["tokens"], (Json{"<s>", "", "O", "n", "c", "e"}));
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
  EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
  EXPECT_LT(logprobs["token_logprobs"][1], 0);
  EXPECT_EQ(logprobs["top_logprobs"][1].size(), 2u);
  EXPECT_EQ(logprobs["text_offset"], (Json{0, 0, 0, 1, 2, 3}));
  EXPECT_EQ(echoed["usage"]["completion_tokens"], 0);
  const Json more =
      AskJson(Post(kComplete, R"({"prompt": "Once", "max_tokens": 4, "echo": true})"));
  EXPECT_EQ(more["choices"][0]["text"].get<std::string>().substr(0, 4), "Once");
  EXPECT_TRUE(more["choices"][0]["logprobs"].is_null());
}

TEST_F(ServerTest, ScoresThePromptOnceForAllAnswers) {
  Start();
  const std::string ask =
      R"("prompt": "Once", "max_tokens": 4, "temperature": 2, "seed": 5, "echo": true, "logprobs": 0)";
  const Json all = AskJson(Post(kComplete, Cat("{", ask, R"(, "n": 3})")));
  const auto scores = [](const Json& choice) {
    return choice["logprobs"]["token_logprobs"].get<std::vector<Json>>();
  };
  const auto mean = [&](const Json& choice) {
    double sum = 0;
    const auto all_scores = scores(choice);
    for (size_t i = 6; i < all_scores.size(); ++i) sum += all_scores[i].get<double>();
    return sum / static_cast<double>(all_scores.size() - 6);
  };
  double most = -INFINITY;
  for (const Json& choice : all["choices"]) {
    EXPECT_TRUE(scores(choice)[0].is_null());
    for (size_t i = 1; i < 6; ++i) EXPECT_EQ(scores(choice)[i], scores(all["choices"][0])[i]);
    EXPECT_EQ(choice["logprobs"]["tokens"].size(), choice["logprobs"]["text_offset"].size());
    most = std::max(most, mean(choice));
  }
  const Json best = AskJson(Post(kComplete, Cat("{", ask, R"(, "best_of": 3})")));
  EXPECT_EQ(mean(best["choices"][0]), most);
  EXPECT_EQ(best["timings"]["predicted_n"], scores(best["choices"][0]).size() - 6);
  EXPECT_EQ(Refused(400, kComplete, Cat("{", ask, R"(, "n": 3, "stream": true})"))["param"], "n");
}

TEST_F(ServerTest, BoundsLogprobs) {
  MakeEndless();
  Start();
  const std::string ask = R"("prompt": "a", "max_tokens": 50000, "logprobs": 20)";
  const Json error = Refused(400, kComplete, Cat("{", ask, R"(, "n": 2})"));
  EXPECT_EQ(error["param"], "logprobs");
  EXPECT_NE(error["message"].get<std::string>().find("2097152"), std::string::npos);
}

TEST_F(ServerTest, TellsLogprobsOfAChatWholeAndStreamed) {
  Start();
  const std::string ask =
      R"("messages": [{"role": "user", "content": "Hé"}], "max_tokens": 12, "logprobs": true, "top_logprobs": 3)";
  const Json whole = AskJson(Post(kChat, Cat("{", ask, "}")));
  const Json& tokens = whole["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(tokens.size(), whole["usage"]["completion_tokens"].get<size_t>());
  for (const Json& token : tokens) {
    EXPECT_EQ(token["top_logprobs"].size(), 3u);
    EXPECT_EQ(token["top_logprobs"][0]["bytes"], token["bytes"]);  // greedy
    EXPECT_EQ(token["top_logprobs"][0]["logprob"], token["logprob"]);
    EXPECT_GT(token["logprob"], token["top_logprobs"][1]["logprob"]);
  }
  Json streamed = Json::array();
  for (const Json& event : Events(Ask(Post(kChat, Cat("{", ask, R"(, "stream": true})"))).body)) {
    const Json& logprobs = event["choices"][0]["logprobs"];
    if (logprobs.is_null()) continue;
    for (const Json& token : logprobs["content"]) streamed.push_back(token);
  }
  EXPECT_EQ(streamed, tokens);
}

TEST_F(ServerTest, ContinuesAnAnswerThatHasBegun) {
  Start();
  const ChatTemplate chatml = ChatTemplate::Named("chatml");
  SamplingOptions sampling;
  sampling.max_tokens = 10;
  sampling.stop_ids = {tokenizer_.Id("<|im_end|>")};
  const auto opened = EncodeChat(tokenizer_, chatml, {{"user", "Hello"}}, true, "");
  auto begun = opened;
  for (const int32_t id : tokenizer_.Encode("Well, ", true)) begun.push_back(id);
  const std::string messages =
      R"("messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Well, "}])";
  const auto said = [&](const std::string& more) {
    return AskJson(Post(kChat, Cat("{", messages, R"(, "max_tokens": 10)", more, "}")));
  };
  const std::string expected = Alone(begun, sampling).text;
  for (const char* more : {"", R"(, "continue_final_message": true)",
                           R"(, "continue_final_message": true, "add_generation_prompt": false)"}) {
    const Json answer = said(more);
    EXPECT_EQ(answer["choices"][0]["message"]["content"], expected) << more;
    EXPECT_EQ(answer["usage"]["prompt_tokens"], begun.size());
  }
  // As a turn of its own, with a new one begun.
  const auto turns =
      EncodeChat(tokenizer_, chatml, {{"user", "Hello"}, {"assistant", "Well, "}}, true, "");
  EXPECT_EQ(said(R"(, "add_generation_prompt": true)")["usage"]["prompt_tokens"], turns.size());
  EXPECT_EQ(
      Refused(400, kChat,
              Cat("{", messages,
                  R"(, "continue_final_message": true, "add_generation_prompt": true})"))["param"],
      "continue_final_message");
}

TEST_F(ServerTest, NamesReachTheTemplateThatWritesThem) {
  const std::string ask =
      R"({"messages": [{"role": "user", "content": "Hi", "name": "ann"}], "max_tokens": 1})";
  Start();  // chatml does not
  const Json plain =
      AskJson(Post(kChat, R"({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1})"));
  EXPECT_EQ(AskJson(Post(kChat, ask))["usage"]["prompt_tokens"], plain["usage"]["prompt_tokens"]);
  EXPECT_EQ(AskJson(Post("/apply-template", ask.substr(0, ask.rfind(',')) + "}"))["prompt"],
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  Stop();
  ServedModel served{*model_, nullptr, tokenizer_, "tiny", {}, ""};
  served.chat = ChatTemplate::Own(
      "{% for m in messages %}<|im_start|>{{ m.role }}{{ ' ' + m.name if m.name else '' }}\n"
      "{{ m.content }}<|im_end|>\n{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
      "a template");
  server_.emplace(std::move(served), options_);
  thread_ = std::thread([this] { ended_in_order_ = server_->Run(); });
  EXPECT_EQ(AskJson(Post("/apply-template", ask.substr(0, ask.rfind(',')) + "}"))["prompt"],
            "<|im_start|>user ann\nHi<|im_end|>\n<|im_start|>assistant\n");
}

TEST_F(ServerTest, EveryAnswerHasAnIdTimesAndAFingerprint) {
  Start();
  const RawAnswer answer = Ask(Post(kComplete, R"({"prompt": "a", "max_tokens": 3})"));
  EXPECT_EQ(answer.headers.at("x-request-id").substr(0, 4), "req_");
  const Json body = ParseJson(answer.body, "body");
  EXPECT_EQ(body["system_fingerprint"].get<std::string>().substr(0, 3), "fp_");
  EXPECT_EQ(body["timings"]["predicted_n"], body["usage"]["completion_tokens"]);
  EXPECT_GT(body["timings"]["prompt_ms"], 0);
  const auto id = [&](const std::string& sent, const std::string& body) {
    return Ask(Post(kComplete, body, Cat("X-Request-Id: ", sent, "\r\n")))
        .headers.at("x-request-id");
  };
  EXPECT_EQ(id("mine-7", R"({"prompt": "a", "max_tokens": 1})"), "mine-7");
  EXPECT_EQ(id("mine-8", R"({"prompt": "a", "max_tokens": 1, "stream": true})"), "mine-8");
  EXPECT_EQ(id("mine-9", "{"), "mine-9");
  EXPECT_EQ(id("not one word", "{").substr(0, 4), "req_");
  EXPECT_EQ(id(std::string(129, 'x'), "{").substr(0, 4), "req_");
  EXPECT_EQ(Ask(Get("/nope", "X-Request-Id: five\r\n")).headers.at("x-request-id"), "five");
}

}  // namespace
}  // namespace retort
