// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "base/strings.h"
#include "runner/api/openai/answer.h"
#include "runner/api/openai/request.h"

namespace retort {
namespace {

// A chat request with these members beside its messages.
std::string ChatWith(const std::string& members) {
  return Cat(R"({"messages": [{"role": "user", "content": "a"}])", members.empty() ? "" : ", ",
             members, "}");
}
std::string MessagesOf(const std::string& messages) {
  return Cat(R"({"messages": [)", messages, "]}");
}

// The parameter that the refusal names; "" if there is none.
std::string RefusedParameter(const std::string& body, ApiKind kind = ApiKind::kChat) {
  try {
    ReadApiRequest(kind, body, 1);
  } catch (const ApiError& e) {
    EXPECT_EQ(e.status, 400);
    EXPECT_LT(std::string(e.what()).size(), 500u);
    EXPECT_LT(ApiErrorBody(e).size(), 3000u);
    return e.param.empty() ? "(none)" : e.param;
  }
  return "";
}

TEST(OpenAiRequest, ChecksTheTypesOfWhatItIgnores) {
  const std::vector<std::string> values = {R"("text")", R"({"a": 1})", "true", "5", "[]"};
  const std::vector<std::pair<std::string, size_t>> right = {{"user", 0},
                                                             {"metadata", 1},
                                                             {"store", 2},
                                                             {"service_tier", 0},
                                                             {"safety_identifier", 0},
                                                             {"prompt_cache_key", 0},
                                                             {"parallel_tool_calls", 2}};
  for (const auto& [name, type] : right) {
    for (size_t i = 0; i < values.size(); ++i) {
      const std::string member = Cat("\"", name, "\": ", values[i]);
      EXPECT_EQ(RefusedParameter(ChatWith(member)), i == type ? "" : name) << member;
    }
    EXPECT_EQ(RefusedParameter(ChatWith(Cat("\"", name, "\": null"))), "");
  }
}

TEST(OpenAiRequest, TakesWholeNumbersAsIntegers) {
  const ApiRequest read = ReadApiRequest(
      ApiKind::kChat, ChatWith(R"("max_tokens": 5.0, "top_k": 4e1, "seed": -3, "model": "m")"), 1);
  EXPECT_EQ(read.sampling.max_tokens, 5);
  EXPECT_EQ(read.sampling.top_k, 40);
  EXPECT_EQ(read.sampling.seed, static_cast<uint64_t>(-3));
  EXPECT_EQ(read.model, "m");
  for (const char* bad : {"5.5", "1e300", "18446744073709551615", "true", "\"5\""}) {
    EXPECT_EQ(RefusedParameter(ChatWith(Cat("\"top_k\": ", bad))), "top_k") << bad;
  }
  const ApiRequest ids = ReadApiRequest(ApiKind::kCompletion, R"({"prompt": [1, 2.0, 3]})", 1);
  EXPECT_EQ(ids.prompts.at(0).ids, (std::vector<int32_t>{1, 2, 3}));
  EXPECT_FALSE(ids.model.has_value());
}

TEST(OpenAiRequest, TwoLimitsThatDifferAreRefused) {
  EXPECT_EQ(RefusedParameter(ChatWith(R"("max_tokens": 5, "max_completion_tokens": 6)")),
            "max_tokens");
  EXPECT_EQ(RefusedParameter(ChatWith(R"("max_tokens": "5", "max_completion_tokens": 6)")),
            "max_tokens");
  EXPECT_EQ(RefusedParameter(ChatWith(R"("max_tokens": 6, "max_completion_tokens": 6)")), "");
}

TEST(OpenAiRequest, TakesOtherServersNamesOfTheSame) {
  const auto read = [](const std::string& members) {
    return ReadApiRequest(ApiKind::kChat, ChatWith(members), 1).sampling;
  };
  EXPECT_EQ(read(R"("max_tokens": -1)").max_tokens, INT32_MAX);
  EXPECT_EQ(read(R"("n_predict": 7)").max_tokens, 7);
  EXPECT_EQ(RefusedParameter(ChatWith(R"("max_tokens": 6, "n_predict": 7)")), "n_predict");
  EXPECT_EQ(read(R"("top_k": -1)").top_k, 0);
  EXPECT_EQ(read(R"("repetition_penalty": 1.2)").repeat_last_n, -1);
  EXPECT_EQ(read(R"("repeat_penalty": 1.2)").repeat_last_n, 64);
  EXPECT_EQ(read(R"("repeat_penalty": 1.2, "repeat_last_n": 9)").repeat_last_n, 9);
  EXPECT_EQ(read(R"("repeat_penalty": 1.2)").repetition_penalty, 1.2);
  const auto bias = read(R"("logit_bias": {"15": -2, "3": 1.5})").logit_bias;
  EXPECT_EQ(bias, (std::vector<std::pair<int32_t, float>>{{3, 1.5}, {15, -2}}));
  const auto pairs = read(R"("logit_bias": [[15, -2], [3, false]])").logit_bias;
  EXPECT_EQ(pairs, (std::vector<std::pair<int32_t, float>>{{3, -INFINITY}, {15, -2}}));
  const auto sums = read(R"("logit_bias": [[15, -2], [15, -3]])").logit_bias;
  EXPECT_EQ(sums, (std::vector<std::pair<int32_t, float>>{{15, -5}}));
  std::string many;
  for (int id = 0; id <= 1024; ++id) many += Cat(id > 0 ? ", " : "", "[", id, ", 1]");
  EXPECT_EQ(RefusedParameter(ChatWith(Cat("\"logit_bias\": [", many, "]"))), "logit_bias");
}

TEST(OpenAiRequest, RefusesMembersOfPartsByName) {
  const auto part = [](const std::string& more) {
    return MessagesOf(Cat(
        R"({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b")",
        more, "}]}"));
  };
  EXPECT_EQ(RefusedParameter(part("")), "");
  EXPECT_EQ(RefusedParameter(part(R"(, "cache_control": {"type": "ephemeral"})")), "");
  EXPECT_EQ(RefusedParameter(part(R"(, "foo": null)")), "");
  EXPECT_EQ(RefusedParameter(part(R"(, "foo": 1)")), "messages[0].content[1].foo");
  EXPECT_EQ(RefusedParameter(part(R"(, "cache_control": 1)")),
            "messages[0].content[1].cache_control");
  EXPECT_EQ(RefusedParameter(MessagesOf(R"({"role": "user", "content": []})")),
            "messages[0].content");
  EXPECT_EQ(RefusedParameter(MessagesOf(
                R"({"role": "user", "content": [{"type": "image_url", "image_url": {}}]})")),
            "messages[0].content[0]");
  EXPECT_EQ(RefusedParameter(MessagesOf(R"({"role": "user", "content": "a", "name": "b"})")), "");
  EXPECT_EQ(RefusedParameter(MessagesOf(R"({"role": "user", "content": "a", "name": 5})")),
            "messages[0].name");
  EXPECT_EQ(RefusedParameter(MessagesOf(Cat(R"({"role": "user", "content": "a", ")",
                                            std::string(100000, 'n'), R"(": 1})"))),
            Cat("messages[0].", std::string(64, 'n'), "..."));
}

TEST(OpenAiRequest, ContinuesAnAnswerOfAContentAlone) {
  const std::string user = R"({"role": "user", "content": "a"})",
                    assistant = R"({"role": "assistant", "content": "b"})";
  const ApiRequest read = ReadApiRequest(ApiKind::kChat, MessagesOf(user + "," + assistant), 1);
  EXPECT_EQ(read.begun, "b");
  EXPECT_EQ(read.messages.size(), 1u);
  const std::string thinks = R"({"role": "assistant", "content": "b", "reasoning_content": "c"})";
  EXPECT_EQ(RefusedParameter(MessagesOf(user + "," + thinks)), "messages[1]");
  EXPECT_EQ(RefusedParameter(MessagesOf(assistant)), "messages");
  EXPECT_EQ(RefusedParameter(MessagesOf(user + "," + assistant + "," + user)), "");
}

TEST(OpenAiRequest, ADeveloperIsTheSystem) {
  const ApiRequest read = ReadApiRequest(
      ApiKind::kChat,
      MessagesOf(
          R"({"role": "developer", "content": "Be brief."}, {"role": "user", "content": "a"})"),
      1);
  EXPECT_EQ(read.messages[0].role, "system");
}

TEST(OpenAiRequest, AnyNameIsBounded) {
  // The distances of a name of megabytes to all known ones would take seconds.
  for (const size_t size : {size_t{65}, size_t{1} << 20, size_t{39} << 17}) {
    const std::string member = Cat("\"", std::string(size, 'x'), "\": 1");
    EXPECT_EQ(RefusedParameter(ChatWith(member)), Cat(std::string(64, 'x'), "..."));
    EXPECT_EQ(
        RefusedParameter(ChatWith(Cat(R"("stream": true, "stream_options": {)", member, "}"))),
        Cat("stream_options.", std::string(64, 'x'), "..."));
  }
  EXPECT_EQ(RefusedParameter(std::string(1 << 20, 'x')), "(none)");  // one bad token
  EXPECT_EQ(RefusedParameter(Cat("\"", std::string(1 << 20, 'x'))), "(none)");
}

TEST(OpenAiRequest, StopTextsAreShort) {
  EXPECT_EQ(RefusedParameter(ChatWith(Cat(R"("stop": ")", std::string(1000, 'x'), "\""))), "");
  EXPECT_EQ(RefusedParameter(ChatWith(Cat(R"("stop": [")", std::string(1001, 'x'), "\"]"))),
            "stop");
}

}  // namespace
}  // namespace retort
