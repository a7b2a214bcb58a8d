// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "runner/api/openai/request.h"
#include "runner/api/tools.h"

namespace retort {
namespace {

constexpr const char* kUser = R"({"role": "user", "content": "a"})";
constexpr const char* kCalls =
    R"({"role": "assistant", "content": null, "refusal": null, "tool_calls": [
        {"id": "x", "type": "function", "index": 0, "function": {"name": "f", "arguments": "{\"a\": 1}"}},
        {"id": "y", "type": "function", "function": {"name": "g", "arguments": ""}}]})";

ApiRequest ReadChat(const std::string& messages, const std::string& more = "") {
  return ReadApiRequest(
      ApiKind::kChat, Cat(R"({"messages": [)", messages, "]", more.empty() ? "" : ", ", more, "}"),
      1);
}
std::string RefusedAt(const std::string& messages, const std::string& more = "") {
  try {
    ReadChat(messages, more);
  } catch (const ApiError& e) {
    EXPECT_EQ(e.status, 400);
    return e.param;
  }
  return "";
}
std::string Result(const std::string& id, const std::string& content) {
  return Cat(R"({"role": "tool", "tool_call_id": ")", id, R"(", "content": ")", content, R"("})");
}

TEST(OpenAiTools, MessagesWithCallsAndResults) {
  // The results are put into the order of the calls.
  const ApiRequest read =
      ReadChat(Cat(kUser, ",", kCalls, ",", Result("y", "two"), ",", Result("x", "one")));
  ASSERT_EQ(read.messages.size(), 4u);
  const Json more = ParseJson(read.messages[1].more, "");
  EXPECT_EQ(read.messages[1].content, "");
  EXPECT_EQ(more, ParseJson(R"({"tool_calls": [
      {"id": "x", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}},
      {"id": "y", "type": "function", "function": {"name": "g", "arguments": {}}}], "content": null})",
                            ""));
  EXPECT_EQ(read.messages[2].role, "tool");
  EXPECT_EQ(read.messages[2].content, "one");
  EXPECT_EQ(read.messages[3].content, "two");
  EXPECT_EQ(ParseJson(read.messages[3].more, ""), (Json{{"tool_call_id", "y"}}));
  const ApiRequest thought = ReadChat(
      Cat(kUser, R"(,{"role": "assistant", "content": "b", "reasoning_content": "c"},)", kUser));
  EXPECT_EQ(thought.messages[1].more, R"({"reasoning_content":"c"})");
}

TEST(OpenAiTools, RefusesFaultyMessagesByPlace) {
  const auto calls = [](const std::string& call) {
    return Cat(kUser, R"(,{"role": "assistant", "tool_calls": [)", call, "]},", Result("x", "r"));
  };
  const std::string at = "messages[1].tool_calls[0]";
  EXPECT_EQ(RefusedAt(calls(R"({"id": "x", "function": {"name": "f"}})")), "");
  EXPECT_EQ(RefusedAt(calls("5")), at);
  EXPECT_EQ(RefusedAt(calls(R"({"id": "x"})")), at + ".function");
  EXPECT_EQ(RefusedAt(calls(R"({"function": {"name": "f"}})")), at + ".id");
  EXPECT_EQ(RefusedAt(calls(R"({"id": "x", "type": "custom", "function": {"name": "f"}})")),
            at + ".type");
  EXPECT_EQ(RefusedAt(calls(R"({"id": "x", "extra": 1, "function": {"name": "f"}})")),
            at + ".extra");
  EXPECT_EQ(RefusedAt(calls(R"({"id": "x", "function": {"name": ""}})")), at + ".function.name");
  for (const char* arguments : {R"("[1]")", R"("{oh")", "5", "[]"}) {
    EXPECT_EQ(RefusedAt(calls(
                  Cat(R"({"id": "x", "function": {"name": "f", "arguments": )", arguments, "}}"))),
              at + ".function.arguments");
  }
  EXPECT_EQ(RefusedAt(Result("x", "r")), "messages[0].tool_call_id");
  EXPECT_EQ(RefusedAt(Cat(kUser, ",", kCalls, ",", kUser, ",", Result("x", "r"))),
            "messages[3].tool_call_id");
  EXPECT_EQ(RefusedAt(Cat(kUser, ",", kCalls, ",", Result("z", "r"))), "messages[2].tool_call_id");
  EXPECT_EQ(RefusedAt(R"({"role": "user", "content": "a", "tool_calls": [1]})"),
            "messages[0].tool_calls");
  EXPECT_EQ(RefusedAt(R"({"role": "user", "content": "a", "reasoning_content": "b"})"),
            "messages[0].reasoning_content");
  EXPECT_EQ(RefusedAt(Cat(kUser, R"(,{"role": "assistant"},)", kUser)), "messages[1].content");
}

TEST(OpenAiTools, ToolsAreGivenAsTheirMakersWriteThem) {
  const ApiRequest read = ReadChat(
      kUser,
      R"("tools": [{"function": {"strict": false, "parameters": {"type": "object", "properties":
      {"c": {"type": "string"}, "d": {"type": ["integer", "null"]}, "e": {"anyOf": []}}},
      "name": "f"}, "type": "function"}, {"type": "function", "function": {"name": "g-2", "description": null}}])");
  EXPECT_EQ(
      read.tools.json,
      R"([{"type":"function","function":{"name":"f","description":"","parameters":{"type":"object",)"
      R"("properties":{"c":{"type":"string"},"d":{"type":["integer","null"]},"e":{"anyOf":[]}}}}},)"
      R"({"type":"function","function":{"name":"g-2","description":"","parameters":{"type":"object",)"
      R"("properties":{}}}}])");
  ASSERT_EQ(read.tools.tools.size(), 2u);
  EXPECT_EQ(read.tools.tools[0].types.at("c"), std::vector<std::string>{"string"});
  EXPECT_EQ(read.tools.tools[0].types.at("d"), (std::vector<std::string>{"integer", "null"}));
  EXPECT_TRUE(read.tools.tools[0].types.at("e").empty());
  EXPECT_TRUE(read.tools.parallel);
  EXPECT_TRUE(read.tools.Shown());
}

TEST(OpenAiTools, ChoosesATool) {
  using Choice = ApiTools::Choice;
  const std::string tools =
      R"("tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": )";
  EXPECT_EQ(ReadChat(kUser, tools + R"("auto")").tools.choice, Choice::kAuto);
  EXPECT_FALSE(ReadChat(kUser, tools + R"("none")").tools.Shown());
  EXPECT_EQ(ReadChat(kUser, tools + R"("required")").tools.choice, Choice::kRequired);
  const ApiTools named =
      ReadChat(kUser, tools + R"({"type": "function", "function": {"name": "f"}})").tools;
  EXPECT_EQ(named.choice, Choice::kNamed);
  EXPECT_EQ(named.name, "f");
  EXPECT_EQ(RefusedAt(kUser, tools + R"({"type": "function", "function": {"name": "g"}})"),
            "tool_choice.function.name");
  EXPECT_EQ(RefusedAt(kUser, tools + R"({"type": "allowed_tools"})"), "tool_choice");
  EXPECT_EQ(RefusedAt(kUser, tools + R"("any")"), "tool_choice");
  EXPECT_EQ(RefusedAt(kUser, R"("tool_choice": "required")"), "tool_choice");
  EXPECT_EQ(RefusedAt(kUser, R"("tool_choice": "none")"), "");
}

TEST(OpenAiTools, RefusesWhatCannotBeKept) {
  const auto tool = [](const std::string& text) { return Cat(R"("tools": [)", text, "]"); };
  const auto function = [&](const std::string& text) {
    return tool(Cat(R"({"type": "function", "function": {)", text, "}}"));
  };
  EXPECT_EQ(RefusedAt(kUser, R"("tools": 5)"), "tools");
  EXPECT_EQ(RefusedAt(kUser, tool("5")), "tools[0]");
  EXPECT_EQ(RefusedAt(kUser, tool(R"({"type": "web_search"})")), "tools[0].type");
  EXPECT_EQ(RefusedAt(kUser, tool(R"({"type": "function"})")), "tools[0].function");
  EXPECT_EQ(RefusedAt(kUser, function(R"("name": "f", "strict": 1)")), "tools[0].function.strict");
  EXPECT_EQ(RefusedAt(kUser, function(R"("name": "f", "returns": {})")),
            "tools[0].function.returns");
  EXPECT_EQ(RefusedAt(kUser, function(R"("name": "f", "parameters": [])")),
            "tools[0].function.parameters");
  EXPECT_EQ(RefusedAt(kUser, function(R"("name": "f", "description": 1)")),
            "tools[0].function.description");
  for (const std::string& name :
       {std::string(), std::string("a b"), std::string("a\\\"b"), std::string(65, 'a')})
    EXPECT_EQ(RefusedAt(kUser, function(Cat(R"("name": ")", name, "\""))),
              "tools[0].function.name");
  EXPECT_EQ(RefusedAt(kUser, tool(R"({"type": "function", "function": {"name": "f"}},
                                     {"type": "function", "function": {"name": "f"}})")),
            "tools[1].function.name");
  EXPECT_EQ(RefusedAt(kUser, R"("chat_template_kwargs": [])"), "chat_template_kwargs");
}

}  // namespace
}  // namespace retort
