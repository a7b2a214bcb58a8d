// SPDX-License-Identifier: Apache-2.0
// Requests that a server cannot honour, each refused by name.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

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
       std::map<std::string, std::string>{{"mirostat", "1"},
                                          {"best_of", "2"},
                                          {"echo", "true"},
                                          {"suffix", "\"x\""},
                                          {"response_format", R"({"type": "xml"})"}}) {
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
                                          {"n", "0"},
                                          {"n", "129"},
                                          {"top_logprobs", "2"},
                                          {"continue_final_message", "true"},
                                          {"presence_penalty", "2.5"},
                                          {"repetition_penalty", "0"},
                                          {"repetition_penalty", "1e-40"},
                                          {"logit_bias", R"({"x": 1})"},
                                          {"logit_bias", R"({"5": 101})"},
                                          {"logit_bias", R"([["text", 1]])"},
                                          {"logit_bias", R"({"9999": 1})"},
                                          {"stop_token_ids", "[9999]"},
                                          {"stop_token_ids", "[-1]"},
                                          {"min_tokens", "2000"},
                                          {"temperature", "\"hot\""},
                                          {"stop", "[1]"},
                                          {"stop", "\"\""},
                                          {"stream", "1"},
                                          {"seed", "18446744073709551615"},
                                          {"stream_options", R"({"include_usage": true})"}}) {
    EXPECT_EQ(Refused(400, kChat, chat(Cat("\"", param, "\": ", value)))["param"], param);
  }
  for (const char* bad :
       {R"("temperature": -1)", R"("top_p": 2)", R"("min_p": -0.1)", R"("top_k": -3)",
        R"("repeat_penalty": 1.1, "repetition_penalty": 1.1)"}) {
    Refused(400, kChat, chat(bad));
  }
  EXPECT_EQ(Refused(400, kChat, R"({"messages": [{"role": "tool", "content": "a"}]})")["param"],
            "messages[0].tool_call_id");
  EXPECT_EQ(Refused(400, kChat, R"({"messages": [{"role": "critic", "content": "a"}]})")["param"],
            "messages[0].role");
  EXPECT_EQ(
      Refused(400, kChat,
              R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})")["param"],
      "messages[0].content[0]");
  EXPECT_EQ(Refused(400, kComplete, R"({"prompt": ["a", 5]})")["param"], "prompt");
  EXPECT_EQ(Refused(400, kComplete, R"({"prompt": "a", "logprobs": 21})")["param"], "logprobs");
  EXPECT_EQ(Refused(400, kComplete, R"({"prompt": "a", "n": 3, "best_of": 2})")["param"],
            "best_of");
  EXPECT_EQ(Refused(400, kComplete, R"({"prompt": [1, -1]})")["param"], "prompt");
  EXPECT_EQ(Refused(400, kComplete, R"({"prompt": [1, 9999]})")["param"], "prompt");
  EXPECT_EQ(Refused(400, kComplete, R"({"prompt": "a", "messages": []})")["param"], "messages");
  Refused(
      415,
      Ask("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"));
  EXPECT_EQ(Ask(Post(kChat, chat(R"("max_tokens": 2, "stop": null, "tools": null)"))).status, 200);
}

TEST_F(ServerTest, KnowsItsModelAlone) {
  Start();
  const std::string ask = R"("prompt": "a", "max_tokens": 1)";
  EXPECT_EQ(Ask(Post(kComplete, Cat(R"({"model": "tiny", )", ask, "}"))).status, 200);
  EXPECT_EQ(Ask(Post(kComplete, Cat(R"({"model": null, )", ask, "}"))).status, 200);
  EXPECT_EQ(Ask(Post(kComplete, Cat("{", ask, "}"))).status, 200);
  for (const std::string& name :
       {std::string("gpt-4o"), std::string(), std::string(1 << 20, 'm')}) {
    const Json error = Refused(404, kComplete, Cat(R"({"model": ")", name, "\", ", ask, "}"));
    EXPECT_EQ(error["code"], "model_not_found");
    EXPECT_EQ(error["param"], "model");
    EXPECT_LT(error["message"].get<std::string>().size(), 200u);
  }
}

TEST_F(ServerTest, CountsNoPromptToItsEndThatCannotFit) {
  options_.engine.context = 64;
  Start();
  const Json error =
      Refused(400, kComplete, Cat(R"({"prompt": ")", std::string(1 << 20, 'a'), "\"}"));
  EXPECT_EQ(error["code"], "context_length_exceeded");
  EXPECT_NE(error["message"].get<std::string>().find("more than 256 tokens"), std::string::npos);
  const Json chat = Refused(
      400, kChat,
      Cat(R"({"messages": [{"role": "user", "content": ")", std::string(1 << 20, 'a'), "\"}]}"));
  EXPECT_EQ(chat["code"], "context_length_exceeded");
}

}  // namespace
}  // namespace retort
