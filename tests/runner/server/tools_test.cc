// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/runner/answer/answer_templates.h"
#include "tests/runner/engine/scripted_model.h"
#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

constexpr const char* kTools = R"([{"type": "function", "function": {"name": "get_weather",
  "description": "Weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}},
  "required": ["city"]}}}, {"type": "function", "function": {"name": "add"}}])";

// A server whose model says a script, with one of AnswerTemplates().
class ServerToolsTest : public ServerTest {
 protected:
  void Serve(const std::string& chat, const std::vector<ScriptPiece>& script) {
    said_.emplace(script);
    const int32_t begin = static_cast<unsigned char>('\n');  // the end of the generation prompt
    model_ = ScriptedModel(*said_, begin, said_->Id("<|im_end|>"), *backend_);
    ServedModel served{*model_, nullptr, *said_, "tiny", AnswerTemplate(chat), ""};
    server_.emplace(std::move(served), options_);
    thread_ = std::thread([this] { ended_in_order_ = server_->Run(); });
  }
  static std::string Asks(const std::string& more, const std::string& messages = "") {
    return Cat(R"({"messages": [{"role": "user", "content": "Weather in Rome?"})", messages, "], ",
               R"("tools": )", kTools, more.empty() ? "" : ", ", more, "}");
  }
  Json Choice(const std::string& body) {
    const RawAnswer answer = Ask(Post(kChat, body));
    EXPECT_EQ(answer.status, 200) << answer.body;
    return ParseJson(answer.body, "")["choices"][0];
  }
  // The deltas of a stream laid together as clients do it, and the finish reason.
  Json Streamed(const std::string& body) {
    Json message = {{"role", "assistant"}, {"content", ""}}, finish;
    for (const Json& event : Events(Ask(Post(kChat, body)).body)) {
      const Json& choice = event["choices"][0];
      const Json& delta = choice["delta"];
      for (const char* key : {"content", "reasoning_content"}) {
        if (delta.contains(key) && !delta[key].is_null())
          message[key] = Cat(message.value(key, ""), delta[key].get<std::string>());
      }
      if (!choice["finish_reason"].is_null()) finish = choice["finish_reason"];
      if (!delta.contains("tool_calls")) continue;
      for (const Json& piece : delta["tool_calls"]) {
        Json& calls = message["tool_calls"];
        const auto index = piece["index"].get<size_t>();
        if (index == calls.size()) {
          calls.push_back(piece);
          calls.back().erase("index");
          continue;
        }
        EXPECT_FALSE(piece.contains("id"));
        Json& arguments = calls[index]["function"]["arguments"];
        arguments =
            Cat(arguments.get<std::string>(), piece["function"]["arguments"].get<std::string>());
        ++argument_pieces_;
      }
    }
    return {{"message", message}, {"finish_reason", finish}};
  }

  std::optional<ScriptTokenizer> said_;
  int argument_pieces_ = 0;
};

const std::vector<ScriptPiece> kTwoCalls = {{"<think>"},
                                            {"\n"},
                                            {"I look"},
                                            {" it up."},
                                            {"\n"},
                                            {"</think>"},
                                            {"\n\n"},
                                            {"One"},
                                            {" moment."},
                                            {"\n"},
                                            {"<tool_call>", true},
                                            {"\n{\""},
                                            {"name"},
                                            {"\": \"get_"},
                                            {"weather"},
                                            {"\", \"arguments\": {\"ci"},
                                            {"ty\": "},
                                            {"\"R\xC3"},
                                            {"\xB3m"},
                                            {"a\"}}"},
                                            {"\n"},
                                            {"</tool_call>", true},
                                            {"\n"},
                                            {"<|other|>", true},
                                            {"<tool_call>", true},
                                            {"\n{\"name\": \"add\", \"arguments\": {}}"},
                                            {"\n"},
                                            {"</tool_call>", true}};

TEST_F(ServerToolsTest, AnswersWithCalls) {
  Serve("qwen3", kTwoCalls);
  const Json choice = Choice(Asks(""));
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  Json message = choice["message"];
  ASSERT_EQ(message["tool_calls"].size(), 2u) << message;
  std::set<std::string> ids;
  for (Json& call : message["tool_calls"]) {
    const std::string id = call["id"];
    EXPECT_EQ(id.substr(0, 5), "call_");
    EXPECT_EQ(id.size(), 29u);
    ids.insert(id);
    call.erase("id");
  }
  EXPECT_EQ(ids.size(), 2u);
  const Json calls = ParseJson(
      R"([{"type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"Róma\"}"}},
          {"type": "function", "function": {"name": "add", "arguments": "{}"}}])",
      "");
  EXPECT_EQ(message["tool_calls"], calls);
  EXPECT_EQ(message["content"], "One moment.");
  EXPECT_EQ(message["reasoning_content"], "I look it up.");
  EXPECT_TRUE(message["refusal"].is_null());

  const Json streamed = Streamed(Asks(R"("stream": true)"));
  EXPECT_EQ(streamed["finish_reason"], "tool_calls");
  Json said = streamed["message"];
  ASSERT_EQ(said["tool_calls"].size(), 2u) << said;
  for (Json& call : said["tool_calls"]) call.erase("id");
  EXPECT_EQ(said["tool_calls"], calls);
  EXPECT_EQ(said["content"], "One moment.");
  EXPECT_EQ(said["reasoning_content"], "I look it up.");
  EXPECT_GE(argument_pieces_, 4);
}

TEST_F(ServerToolsTest, WithoutToolsCallsAreText) {
  Serve("qwen3", kTwoCalls);
  for (
      const char* body :
      {R"({"messages": [{"role": "user", "content": "a"}]})",
       R"({"messages": [{"role": "user", "content": "a"}], "tools": [], "tool_choice": "none"})"}) {
    const Json choice = Choice(body);
    EXPECT_EQ(choice["finish_reason"], "stop");
    EXPECT_FALSE(choice["message"].contains("tool_calls"));
    const std::string content = choice["message"]["content"];
    EXPECT_NE(content.find("<tool_call>"), std::string::npos) << content;
    EXPECT_EQ(content.find("<|other|>"), std::string::npos);
    EXPECT_EQ(choice["message"]["reasoning_content"], "I look it up.");
  }
  // With 'none' the model does not read of the tools: the prompt is that without them.
  const auto tokens = [&](const std::string& body) {
    return AskJson(Post(kChat, body))["usage"]["prompt_tokens"].get<int64_t>();
  };
  const std::string plain = R"({"messages": [{"role": "user", "content": "Weather in Rome?"}]})";
  EXPECT_EQ(tokens(Asks(R"("tool_choice": "none")")), tokens(plain));
  EXPECT_GT(tokens(Asks("")), tokens(plain) + 100);
}

TEST_F(ServerToolsTest, AnswersOfCallsAloneHaveNoContent) {
  Serve("devstral", {{"[TOOL_CALLS]", true}, {"add"}, {"[ARGS]", true}, {"{\"a\": 1}"}});
  const Json choice = Choice(Asks(""));
  EXPECT_TRUE(choice["message"]["content"].is_null());
  EXPECT_EQ(choice["message"]["tool_calls"][0]["function"]["arguments"], "{\"a\": 1}");
}

TEST_F(ServerToolsTest, IdsThatTheTemplateTakes) {
  Serve("mistral-nemo", {{"[TOOL_CALLS]", true}, {"[{\"name\": \"add\", \"arguments\": {}}]"}});
  const Json call = Choice(Asks(""))["message"]["tool_calls"][0];
  const std::string id = call["id"];
  EXPECT_EQ(id.size(), 9u);
  const std::string messages =
      Cat(R"(, {"role": "assistant", "content": null, "tool_calls": [)", DumpJson(call),
          R"(]}, {"role": "tool", "tool_call_id": ")", id, R"(", "content": "3"})");
  EXPECT_EQ(Choice(Asks("", messages))["finish_reason"], "tool_calls");
}

TEST_F(ServerToolsTest, OneCallIfAskedFor) {
  Serve("qwen3", kTwoCalls);
  for (const char* stream : {"false", "true"}) {
    const std::string body = Asks(Cat(R"("parallel_tool_calls": false, "stream": )", stream));
    const Json choice = *stream == 't' ? Streamed(body) : Choice(body);
    EXPECT_EQ(choice["finish_reason"], "tool_calls");
    EXPECT_EQ(choice["message"]["tool_calls"].size(), 1u);
  }
  EXPECT_TRUE(EventuallyIdle());
}

TEST_F(ServerToolsTest, ACallThatIsAskedForIsBegun) {
  // Behind '"' the model says '#', '$', ...: a call is begun, but it is none.
  Serve("qwen3", {{"Hello"}, {"."}});
  const auto content = [&](const std::string& more) {
    return Choice(Asks(Cat(R"("max_tokens": 60, )", more)))["message"]["content"]
        .get<std::string>();
  };
  EXPECT_EQ(content(R"("tool_choice": "auto")"), "Hello.");
  EXPECT_EQ(content(R"("tool_choice": "required")").substr(0, 23), "<tool_call>\n{\"name\": \"#");
  EXPECT_EQ(
      content(R"("tool_choice": {"type": "function", "function": {"name": "add"}})").substr(0, 41),
      "<tool_call>\n{\"name\": \"add\", \"arguments\":;");
}

TEST_F(ServerToolsTest, AModelThinksBeforeTheCallThatIsAskedFor) {
  Serve("qwen3", {{"<think>"}, {"\nhm\n"}, {"</think>"}, {"\n\nNo."}});
  const Json message = Choice(Asks(R"("max_tokens": 40, "tool_choice": "required")"))["message"];
  EXPECT_EQ(message["reasoning_content"], "hm");
  EXPECT_EQ(message["content"].get<std::string>().substr(0, 23), "<tool_call>\n{\"name\": \"#");
}

TEST_F(ServerToolsTest, AThoughtThatThePromptOpens) {
  Serve("deepseek-r1", {{"hm"}, {"\n"}, {"</think>"}, {"\n\nYes."}});
  const Json plain = Choice(R"({"messages": [{"role": "user", "content": "a"}]})")["message"];
  EXPECT_EQ(plain["reasoning_content"], "hm");
  EXPECT_EQ(plain["content"], "Yes.");
  const Json asked = Choice(Asks(R"("max_tokens": 60, "tool_choice": "required")"))["message"];
  EXPECT_EQ(asked["reasoning_content"], "hm");
  EXPECT_EQ(asked["content"].get<std::string>().find("<｜tool▁calls▁begin｜>"), 0u);
}

// Tools whose arguments are held to their schemas, with these further fields.
std::string AsksStrictly(const std::string& properties, const std::string& more) {
  return Cat(
      R"({"messages": [{"role": "user", "content": "hi"}], "temperature": 1.5, "max_tokens": 400,
    "tools": [{"type": "function", "function": {"name": "count", "strict": true, "parameters": {
    "type": "object", "properties": )",
      properties, R"(, "required": ["kind", "n"], "additionalProperties": false}}}], )", more, "}");
}

TEST_F(ServerToolsTest, StrictArgumentsSatisfyTheirSchemaWhateverTheModelSays) {
  const std::string properties =
      R"({"kind": {"enum": ["cat", "dog"]}, "n": {"type": "integer", "minimum": 1, "maximum": 40}})";
  model_->config.max_positions = 2048;
  ServedModel served{*model_, nullptr, tokenizer_, "tiny", AnswerTemplate("qwen3"), ""};
  server_.emplace(std::move(served), options_);
  thread_ = std::thread([this] { ended_in_order_ = server_->Run(); });
  const std::string named = R"({"type": "function", "function": {"name": "count"}})";
  const int32_t h = tokenizer_.Encode("h", true).back();  // without it there is no "<think>"
  int calls = 0;
  for (int seed = 1; seed <= 8; ++seed) {
    const std::string choice = seed % 2 == 0 ? named : "\"required\"";
    const Json said = Choice(
        AsksStrictly(properties, Cat("\"parallel_tool_calls\": false, \"tool_choice\": ", choice,
                                     ", \"logit_bias\": [[", h, ", false]], \"seed\": ", seed)));
    if (said["finish_reason"] == "length") continue;
    ASSERT_EQ(said["finish_reason"], "tool_calls") << said;
    EXPECT_TRUE(said["message"]["content"].is_null());
    const Json& call = said["message"]["tool_calls"][0]["function"];
    EXPECT_EQ(call["name"], "count");
    const Json arguments = ParseJson(call["arguments"].get<std::string>(), "arguments");
    ASSERT_EQ(arguments.size(), 2u) << arguments;
    EXPECT_TRUE(arguments["kind"] == "cat" || arguments["kind"] == "dog") << arguments;
    EXPECT_TRUE(arguments["n"] >= 1 && arguments["n"] <= 40) << arguments;
    ++calls;
  }
  EXPECT_GE(calls, 3);
  const Json error = Refused(
      400, kChat, AsksStrictly(R"({"kind": {"format": "regex"}, "n": {}})", R"("seed": 1)"));
  EXPECT_EQ(error["param"], "tools");
  EXPECT_NE(error["message"].get<std::string>().find("'count': #/properties/kind"),
            std::string::npos);
}

TEST_F(ServerToolsTest, StrictArgumentsInAnthropicsForm) {
  model_->config.max_positions = 2048;
  ServedModel served{*model_, nullptr, tokenizer_, "tiny", AnswerTemplate("qwen3"), ""};
  server_.emplace(std::move(served), options_);
  thread_ = std::thread([this] { ended_in_order_ = server_->Run(); });
  const auto ask = [&](const std::string& kind) {
    return Post("/v1/messages",
                Cat(R"({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1600,
    "tools": [{"name": "count", "strict": true, "input_schema": {"type": "object",
      "properties": {"kind": )",
                    kind, R"(, "n": {"type": "integer", "minimum": 1, "maximum": 40}},
      "required": ["kind", "n"], "additionalProperties": false}}],
    "tool_choice": {"type": "tool", "name": "count"}})"));
  };
  const Json said = AskJson(ask(R"({"enum": ["cat", "dog"]})"));
  ASSERT_EQ(said["stop_reason"], "tool_use") << said;
  const Json& input = said["content"].back()["input"];
  ASSERT_EQ(input.size(), 2u) << said;
  EXPECT_TRUE(input["kind"] == "cat" || input["kind"] == "dog") << said;
  EXPECT_TRUE(input["n"] >= 1 && input["n"] <= 40) << said;
  const RawAnswer refused = Ask(ask(R"({"format": "regex"})"));
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.body.find("#/properties/kind"), std::string::npos) << refused.body;
}

TEST_F(ServerToolsTest, AModelMaySpeakBeforeAStrictCall) {
  const std::string schema = R"({"kind": {"type": "string"}, "n": {"type": "integer"}})";
  Serve("qwen3", {{"Well"},
                  {"<tool_call>", true},
                  {"\n{\"name\": \"count\", \"arguments\": "},
                  {"{\"kind\": \"cat\", \"n\": 3}}"},
                  {"\n"},
                  {"</tool_call>", true}});
  const Json said = Choice(AsksStrictly(schema, R"("tool_choice": "auto", "top_k": 1)"));
  EXPECT_EQ(said["message"]["content"], "Well") << said;
  EXPECT_EQ(said["message"]["tool_calls"][0]["function"]["arguments"],
            "{\"kind\": \"cat\", \"n\": 3}")
      << said;
}

TEST_F(ServerToolsTest, SaysWhatTheTemplateCannotWrite) {
  Serve("no-tools", {{"Hello."}});
  const Json tools = Refused(400, kChat, Asks(""));
  EXPECT_EQ(tools["param"], "tools");
  EXPECT_NE(tools["message"].get<std::string>().find("'tools'"), std::string::npos);
  const Json calls = Refused(
      400, kChat,
      R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [{"id": "x",
      "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, {"role": "tool", "tool_call_id": "x",
      "content": "b"}]})");
  EXPECT_NE(calls["message"].get<std::string>().find("'tool_calls'"), std::string::npos);
}

TEST_F(ServerToolsTest, EarlierThoughtsAreWhereTheTemplateHasThem) {
  Serve("deepseek-r1", {{"hm"}});
  const auto tokens = [&](const std::string& more) {
    const std::string body = Cat(
        R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b")",
        more, R"(}, {"role": "user", "content": "c"}]})");
    return AskJson(Post(kChat, body))["usage"]["prompt_tokens"].get<int64_t>();
  };
  EXPECT_EQ(
      tokens(R"(, "reasoning_content": "0123456789")"),
      tokens("") + static_cast<int64_t>(std::string("<think>\n0123456789\n</think>\n\n").size()));
  EXPECT_EQ(tokens(R"(, "reasoning_content": "")"), tokens(""));
}

}  // namespace
}  // namespace retort
