// SPDX-License-Identifier: Apache-2.0
// The same answer in the forms of several APIs, whole and streamed.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "runner/api/anthropic/anthropic.h"
#include "runner/api/ollama/ollama.h"
#include "runner/api/openai/responses.h"
#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

constexpr const char* kMessages = "/v1/messages";
constexpr const char* kResponses = "/v1/responses";

// The events of a stream with names; checks that each is its object's type.
std::vector<Json> NamedEvents(const std::string& body) {
  std::vector<Json> events;
  for (size_t at = 0; at < body.size();) {
    const size_t line = body.find('\n', at), end = body.find("\n\n", at);
    EXPECT_EQ(body.compare(at, 7, "event: "), 0) << body.substr(at, 60);
    if (end == std::string::npos) break;
    events.push_back(ParseJson(body.substr(line + 7, end - line - 7), "event"));
    EXPECT_EQ(events.back()["type"], body.substr(at + 7, line - at - 7));
    at = end + 2;
  }
  return events;
}

std::vector<Json> Lines(const std::string& body) {
  std::vector<Json> lines;
  for (const std::string& line : Split(body, '\n')) {
    if (!line.empty()) lines.push_back(ParseJson(line, "line"));
  }
  return lines;
}

class Dialects : public ServerTest {
 protected:
  // What OpenAI's API says.
  Json Expected() {
    return AskJson(Post(kChat, R"({"messages": [{"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"}], "max_tokens": 9})"));
  }
  const std::string ask_ = R"("system": "Be brief.", "messages": [{"role": "user", "content":
      [{"type": "text", "text": "Hello"}]}], "max_tokens": 9)";
};

TEST_F(Dialects, AnthropicsMessages) {
  Start();
  const Json expected = Expected();
  const Json whole = AskJson(Post(kMessages, Cat("{", ask_, "}")));
  EXPECT_EQ(whole["type"], "message");
  EXPECT_EQ(whole["content"][0]["text"], expected["choices"][0]["message"]["content"]);
  EXPECT_EQ(whole["stop_reason"], "max_tokens");
  EXPECT_TRUE(whole["stop_sequence"].is_null());
  EXPECT_EQ(whole["usage"]["input_tokens"].get<int64_t>() +
                whole["usage"]["cache_read_input_tokens"].get<int64_t>(),
            expected["usage"]["prompt_tokens"]);
  EXPECT_EQ(whole["usage"]["output_tokens"], 9);
  const auto events =
      NamedEvents(Ask(Post(kMessages, Cat("{", ask_, R"(, "stream": true})"))).body);
  ASSERT_GT(events.size(), 6u);
  EXPECT_EQ(events[0]["type"], "message_start");
  EXPECT_EQ(events[1]["type"], "content_block_start");
  std::string text;
  for (const Json& event : events) {
    if (event["type"] == "content_block_delta") text += event["delta"]["text"].get<std::string>();
  }
  EXPECT_EQ(text, whole["content"][0]["text"]);
  EXPECT_EQ(events[events.size() - 3]["type"], "content_block_stop");
  EXPECT_EQ(events[events.size() - 2]["delta"]["stop_reason"], "max_tokens");
  EXPECT_EQ(events.back()["type"], "message_stop");
  EXPECT_EQ(AskJson(Post("/v1/messages/count_tokens", Cat("{", ask_, "}")))["input_tokens"],
            expected["usage"]["prompt_tokens"]);
}

TEST_F(Dialects, CountsWhatDoesNotFit) {
  options_.engine.context = 64;
  Start();
  const auto ask = [](size_t size) {
    return Post("/v1/messages/count_tokens", Cat(R"({"messages": [{"role": "user", "content": ")",
                                                 std::string(size, 'a'), "\"}]}"));
  };
  EXPECT_GT(AskJson(ask(150))["input_tokens"], 150);
  EXPECT_EQ(Ask(ask(1000)).status, 400);
}

TEST_F(Dialects, OllamasThinkReachesATemplateThatKnowsIt) {
  ServedModel served{*model_, nullptr, tokenizer_, "tiny", {}, ""};
  served.chat = ChatTemplate::Own(
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>assistant\n"
      "{% if enable_thinking is defined and not enable_thinking %}none{% endif %}{% endif %}",
      "a template");
  server_.emplace(std::move(served), options_);
  thread_ = std::thread([this] { ended_in_order_ = server_->Run(); });
  const auto tokens = [&](const std::string& more) {
    return AskJson(Post("/api/chat", Cat(R"({"messages": [{"role": "user", "content": "a"}],
        "stream": false, "options": {"num_predict": 1})",
                                         more, "}")))["prompt_eval_count"]
        .get<int64_t>();
  };
  EXPECT_EQ(tokens(R"(, "think": false)"), tokens("") + 4);
  EXPECT_EQ(tokens(R"(, "think": true)"), tokens(""));
}

TEST_F(Dialects, AnthropicsErrorsAndKeys) {
  options_.keys = {{"sesame", "one"}};
  Start();
  const auto refused = [&](const std::string& body, const std::string& key) {
    const RawAnswer answer = Ask(Post(kMessages, body, Cat("X-Api-Key: ", key, "\r\n")));
    const Json error = ParseJson(answer.body, "error");
    EXPECT_EQ(error["type"], "error");
    return Cat(answer.status, " ", error["error"]["type"].get<std::string>());
  };
  EXPECT_EQ(refused(Cat("{", ask_, "}"), "wrong"), "401 authentication_error");
  EXPECT_EQ(refused("{", "sesame"), "400 invalid_request_error");
  EXPECT_EQ(refused(Cat(R"({"model": "x", )", ask_, "}"), "sesame"), "404 not_found_error");
  EXPECT_EQ(Ask(Post(kMessages, Cat("{", ask_, "}"), "X-Api-Key: sesame\r\n")).status, 200);
}

TEST_F(Dialects, OllamasChatAndGenerate) {
  Start();
  const Json expected = Expected()["choices"][0]["message"]["content"];
  const std::string options = R"("options": {"num_predict": 9, "num_ctx": 4096})";
  const std::string chat = Cat(R"({"model": "tiny", "messages": [{"role": "system", "content":
      "Be brief."}, {"role": "user", "content": "Hello"}], )",
                               options);
  const Json whole = AskJson(Post("/api/chat", Cat(chat, R"(, "stream": false})")));
  EXPECT_EQ(whole["message"]["content"], expected);
  EXPECT_EQ(whole["done"], true);
  EXPECT_EQ(whole["done_reason"], "length");
  EXPECT_EQ(whole["eval_count"], 9);
  const RawAnswer answer = Ask(Post("/api/chat", Cat(chat, "}")));
  EXPECT_EQ(answer.headers.at("content-type"), "application/x-ndjson");
  const auto lines = Lines(answer.body);
  std::string text;
  for (const Json& line : lines) text += line["message"]["content"].get<std::string>();
  EXPECT_EQ(text, expected);
  for (size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(lines[i]["done"], i + 1 == lines.size());
  const Json generated = AskJson(Post(
      "/api/generate",
      Cat(R"({"model": "tiny:latest", "prompt": "Hello", "system": "Be brief.", "stream": false, )",
          options, "}")));
  EXPECT_EQ(generated["response"], expected);
  const Json raw = AskJson(Post(
      "/api/generate", Cat(R"({"prompt": "Once", "raw": true, "stream": false, )", options, "}")));
  EXPECT_EQ(
      raw["response"],
      AskJson(Post(kComplete, R"({"prompt": "Once", "max_tokens": 9})"))["choices"][0]["text"]);
  // A template without that switch, and none at all.
  EXPECT_EQ(AskJson(Post("/api/chat",
                         Cat(chat, R"(, "think": false, "stream": false})")))["message"]["content"],
            expected);
  AskJson(Post("/api/generate", R"({"prompt": "a", "raw": true, "think": false, "stream": false,
      "options": {"num_predict": 1}})"));
  const RawAnswer none =
      Ask(Post("/api/chat", R"({"model": "x", "messages": [{"role": "user", "content": "a"}]})"));
  EXPECT_EQ(none.status, 404);
  EXPECT_TRUE(ParseJson(none.body, "error")["error"].is_string());
}

TEST_F(Dialects, OpenAisResponses) {
  Start();
  const Json expected = Expected();
  const std::string ask =
      R"("instructions": "Be brief.", "input": "Hello", "max_output_tokens": 9)";
  const Json whole = AskJson(Post(kResponses, Cat("{", ask, "}")));
  EXPECT_EQ(whole["object"], "response");
  EXPECT_EQ(whole["status"], "incomplete");
  EXPECT_EQ(whole["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(whole["output"][0]["content"][0]["text"], expected["choices"][0]["message"]["content"]);
  EXPECT_EQ(whole["usage"]["output_tokens"], 9);
  EXPECT_EQ(whole["instructions"], "Be brief.");
  const auto events =
      NamedEvents(Ask(Post(kResponses, Cat("{", ask, R"(, "stream": true})"))).body);
  std::string text;
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i]["sequence_number"], i);
    if (events[i]["type"] == "response.output_text.delta")
      text += events[i]["delta"].get<std::string>();
  }
  EXPECT_EQ(text, whole["output"][0]["content"][0]["text"]);
  EXPECT_EQ(events[0]["type"], "response.created");
  EXPECT_EQ(events.back()["type"], "response.incomplete");
  EXPECT_EQ(events.back()["response"]["output"][0]["content"], whole["output"][0]["content"]);
  EXPECT_EQ(Refused(400, kResponses, R"({"input": "a", "previous_response_id": "x"})")["param"],
            "previous_response_id");
  EXPECT_EQ(
      Refused(400, kResponses, R"({"input": "a", "tools": [{"type": "web_search"}]})")["param"],
      "tools");
}

std::string Refusal(const std::function<void()>& read) {
  try {
    read();
  } catch (const ApiError& e) {
    EXPECT_EQ(e.status, 400);
    return e.param;
  }
  return "";
}

TEST(AnthropicRequest, BlocksBecomeMessages) {
  const ApiRequest read = ReadAnthropicRequest(R"({"max_tokens": 5, "top_k": 3,
      "stop_sequences": ["x"], "tools": [{"name": "f", "input_schema": {"type": "object"}}],
      "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
      "messages": [{"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""},
           {"type": "text", "text": "yes"}, {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "r"}]},
           {"type": "text", "text": "and?"}]}]})",
                                               1, false);
  ASSERT_EQ(read.messages.size(), 4u);
  EXPECT_EQ(read.messages[1].content, "yes");
  const Json more = ParseJson(read.messages[1].more, "more");
  EXPECT_EQ(more["reasoning_content"], "hm");
  EXPECT_EQ(more["tool_calls"][0]["function"]["arguments"], (Json{{"a", 1}}));
  EXPECT_EQ(read.messages[2].role, "tool");
  EXPECT_EQ(read.messages[2].content, "r");
  EXPECT_EQ(read.messages[3].content, "and?");
  EXPECT_EQ(read.tools.choice, ApiTools::Choice::kRequired);
  EXPECT_FALSE(read.tools.parallel);
  EXPECT_EQ(read.sampling.stop, (std::vector<std::string>{"x"}));
  EXPECT_EQ(read.sampling.top_k, 3);
}

TEST(AnthropicRequest, ToolsMayBeStrict) {
  const ApiRequest read = ReadAnthropicRequest(R"({"max_tokens": 5,
      "messages": [{"role": "user", "content": "go"}], "tools": [
        {"name": "f", "strict": true, "input_schema": {"type": "object", "required": ["a"]}},
        {"name": "g", "strict": false, "input_schema": {"type": "object"}}, {"name": "h"}]})",
                                               1, false);
  ASSERT_EQ(read.tools.tools.size(), 3u);
  EXPECT_EQ(read.tools.tools[0].schema, R"({"type":"object","required":["a"]})");
  EXPECT_EQ(read.tools.tools[1].schema, "");
  EXPECT_EQ(read.tools.tools[2].schema, "");
}

TEST(AnthropicRequest, RefusesWhatItCannotDoByName) {
  const auto refused = [](const std::string& members) {
    return Refusal([&] {
      ReadAnthropicRequest(Cat(R"({"messages": [{"role": "user", "content": "a"}])", members, "}"),
                           1, false);
    });
  };
  EXPECT_EQ(refused(""), "max_tokens");
  EXPECT_EQ(refused(R"(, "max_tokens": 1)"), "");
  EXPECT_EQ(refused(R"(, "max_tokens": 1, "thinking": {"type": "enabled"})"), "thinking");
  EXPECT_EQ(refused(R"(, "max_tokens": 1, "mcp_servers": [])"), "mcp_servers");
  EXPECT_EQ(refused(R"(, "max_tokens": 1, "tools": [{"type": "bash_20250124", "name": "bash"}])"),
            "tools[0].type");
  EXPECT_EQ(refused(R"(, "max_tokens": 1, "tools": [{"name": "f", "strict": "yes"}])"),
            "tools[0].strict");
  // What is read as OpenAI's request is told in this API's names.
  const std::string f = R"({"name": "f"})";
  const auto tools = [&](const std::string& list, const std::string& more = "") {
    return refused(Cat(R"(, "max_tokens": 1, "tools": [)", list, "]", more));
  };
  EXPECT_EQ(tools(R"({"name": "f", "input_schema": true})"), "tools[0].input_schema");
  EXPECT_EQ(tools(R"({"name": "f", "description": 1})"), "tools[0].description");
  EXPECT_EQ(tools(f + ", {}"), "tools[1].name");
  EXPECT_EQ(tools(f + ", " + f), "tools[1].name");
  EXPECT_EQ(tools(f, R"(, "tool_choice": {"type": "tool", "name": "g"})"), "tool_choice.name");
  EXPECT_EQ(tools(f, R"(, "tool_choice": {"type": "tool"})"), "tool_choice.name");
  EXPECT_EQ(refused(R"(, "max_tokens": 1, "stop_sequences": 5)"), "stop_sequences");
  const auto block = [](const std::string& text) {
    return Refusal([&] {
      ReadAnthropicRequest(
          Cat(R"({"max_tokens": 1, "messages": [{"role": "user", "content": [)", text, "]}]}"), 1,
          false);
    });
  };
  EXPECT_EQ(block(R"({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}})"), "");
  EXPECT_EQ(block(R"({"type": "text", "text": "a", "citations": [{}]})"),
            "messages[0].content[0].citations");
}

TEST(AnthropicRequest, SaysThatACallHasFailed) {
  const ApiRequest read = ReadAnthropicRequest(R"({"max_tokens": 5, "messages": [
      {"role": "user", "content": "go"},
      {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
      {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "is_error": true,
                                    "content": "no such file"}]}]})",
                                               1, false);
  EXPECT_EQ(read.messages[2].content, "Error: no such file");
}

TEST(AnthropicAnswer, ArgumentsThatAreNoObjectAreAnEmptyOne) {
  const auto writer = AnthropicWriter({"1", 0, "tiny", ""});
  ApiAnswer answer;
  ApiChoice& choice = answer.choices.emplace_back();
  choice.said.calls.push_back({"c", "f", ""});
  std::string stream = writer->Said(choice, {AnswerPart::Kind::kCall, "f"}, {});
  stream += writer->Said(choice, {AnswerPart::Kind::kArguments, "{oh"}, {});
  choice.said.calls.back().arguments = "{oh";
  choice.finish = FinishReason::kStop;
  stream += writer->EndOfChoice(choice, {});
  std::string input;
  for (const Json& event : NamedEvents(stream)) {
    if (event["type"] == "content_block_delta")
      input += event["delta"]["partial_json"].get<std::string>();
  }
  EXPECT_EQ(input, "{}");
  EXPECT_EQ(ParseJson(writer->Whole(answer), "body")["content"][0]["input"], Json::object());
}

TEST(ResponsesRequest, NamesItsOwnMembersInErrors) {
  const auto refused = [](const std::string& body) {
    return Refusal([&] { ReadResponsesRequest(body, 1); });
  };
  EXPECT_EQ(refused(R"({"instructions": "a", "input": [{"type": "reasoning"},
      {"role": "critic", "content": "a"}]})"),
            "input[1].role");
  EXPECT_EQ(refused(R"({"instructions": 5, "input": "a"})"), "instructions");
  EXPECT_EQ(refused(R"({"input": "a", "metadata": {"k": "v"}})"), "");
  EXPECT_EQ(refused(R"({"input": "a", "metadata": {"k": 5}})"), "metadata");
  EXPECT_EQ(refused(Cat(R"({"input": "a", "metadata": {"k": ")", std::string(513, 'v'), "\"}}")),
            "metadata");
}

TEST(OllamaRequest, CallsAndResultsBelongTogetherByTheirOrder) {
  const ApiRequest read = ReadOllamaRequest(OllamaKind::kChat, R"({"messages": [
      {"role": "user", "content": "go"},
      {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}},
         {"function": {"name": "g", "arguments": {}}}]},
      {"role": "tool", "tool_name": "f", "content": "1"}, {"role": "tool", "tool_name": "g", "content": "2"}],
      "think": false, "format": {"type": "object"}, "options": {"repeat_penalty": 1.1, "stop": "x"}})",
                                            1);
  ASSERT_EQ(read.messages.size(), 4u);
  EXPECT_EQ(ParseJson(read.messages[3].more, "more")["tool_call_id"], "call_1");
  EXPECT_TRUE(read.stream);
  EXPECT_TRUE(read.grammar.has_value());
  EXPECT_EQ(read.sampling.repetition_penalty, 1.1);
  EXPECT_EQ(read.sampling.max_tokens, INT32_MAX);
  EXPECT_EQ(read.think, false);
  EXPECT_EQ(Refusal([] {
              ReadOllamaRequest(OllamaKind::kGenerate, R"({"prompt": "a", "think": "high"})", 1);
            }),
            "think");
  EXPECT_EQ(Refusal([] {
              ReadOllamaRequest(OllamaKind::kChat, R"({"messages": [{"role": "user",
                  "content": "a", "colour": 1}]})",
                                1);
            }),
            "messages[0].colour");
  EXPECT_EQ(Refusal([] {
              ReadOllamaRequest(OllamaKind::kGenerate, R"({"prompt": "a", "options": {"x": 1}})",
                                1);
            }),
            "options.x");
  EXPECT_EQ(Refusal([] {
              ReadOllamaRequest(OllamaKind::kGenerate, R"({"prompt": "a", "images": ["x"]})", 1);
            }),
            "images");
}

}  // namespace
}  // namespace retort
