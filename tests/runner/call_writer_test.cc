// SPDX-License-Identifier: Apache-2.0
#include "runner/answer/call_writer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "runner/answer/call_probe.h"
#include "tests/runner/answer_templates.h"

namespace retort {
namespace {

constexpr const char* kTwoCalls = R"([
  {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"R\u00f3ma\"}"}},
  {"id": "b", "type": "function", "function": {"name": "add", "arguments": {"a": 1, "b": ["</tool_call>", {}]}}}])";

Message CallingMessage(const std::string& content = "") {
  return {"assistant", content, true, DumpJson(Json{{"tool_calls", ParseJson(kTwoCalls, "")}})};
}

// The names of templates that tell a model how to call and write no calls, with what their models
// write.
struct WrittenCalls {
  const char *name, *text;
};
constexpr WrittenCalls kWrittenCalls[] = {
    {"granite-3", R"(<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Róma"}}, )"
                  R"({"name": "add", "arguments": {"a": 1, "b": ["</tool_call>", {}]}}])"},
    {"smollm3",
     "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Róma\"}}\n</tool_call>\n"
     "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": [\"</tool_call>\", {}]}}\n"
     "</tool_call>"},
    {"phi-4-mini",
     R"(<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Róma"}}, )"
     R"({"name": "add", "arguments": {"a": 1, "b": ["</tool_call>", {}]}}]<|/tool_call|>)"},
};

bool IsTokenOf(const std::string& name, const std::string& mark) {
  return name != "granite-3" || mark == "<|tool_call|>";  // Granite 3 has no token that closes
}

TEST(CallWriter, WritesWhatTheModelWrote) {
  for (const WrittenCalls& w : kWrittenCalls) {
    const AnswerFormat format = FindAnswerFormat(AnswerTemplate(w.name), AnswerSpec());
    ASSERT_FALSE(format.writes_calls) << w.name;
    const auto is_token = [&](const std::string& mark) { return IsTokenOf(w.name, mark); };
    Message message = CallingMessage();
    ASSERT_TRUE(WriteCallsInContent(format.calls.front(), is_token, message)) << w.name;
    EXPECT_EQ(message.content, w.text);
    EXPECT_EQ(message.more, "");
    // Read as the server reads answers, it is the same calls.
    AnswerParser::Options options;
    options.calls = true;
    const ReadAnswer read =
        ReadPieces(format, {{"get_weather", {}}, {"add", {}}}, options, {w.text});
    ASSERT_EQ(read.calls.size(), 2u) << w.name;
    EXPECT_EQ(read.calls[0].first, "get_weather");
    EXPECT_EQ(read.calls[1].second, R"({"a": 1, "b": ["</tool_call>", {}]})");

    Message after = CallingMessage("One moment.");
    WriteCallsInContent(format.calls.front(), is_token, after);
    EXPECT_EQ(after.content, Cat("One moment.\n", w.text));
  }
}

// The marks may become tokens, and nothing that looks like them in the arguments.
TEST(CallWriter, OnlyItsOwnMarksAreMarkup) {
  const ChatTemplate chat = AnswerTemplate("smollm3");
  Message message = CallingMessage();
  WriteCallsInContent(
      FindAnswerFormat(chat, AnswerSpec()).calls.front(), [](const std::string&) { return true; },
      message);
  const RenderedChat rendered = chat.Render(
      Conversation{{"user", "hi"}, message, {"user", "a <tool_call>"}}, true, AnswerSpec(), "test");
  std::string markup, plain;
  for (const ChatPiece& piece : rendered.pieces) {
    for (const Segment& segment : piece.segments) (segment.markup ? markup : plain) += segment.text;
  }
  const auto count = [](const std::string& text, std::string_view mark) {
    size_t found = 0;
    for (size_t at = text.find(mark); at != text.npos; at = text.find(mark, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count(markup, "<tool_call>"), 2u);
  EXPECT_EQ(count(markup, "</tool_call>"), 2u);
  EXPECT_EQ(count(plain, "<tool_call>"), 1u);
  EXPECT_EQ(count(plain, "</tool_call>"), 1u);
}

TEST(CallWriter, LeavesOthersAlone) {
  const AnswerFormat format = FindAnswerFormat(AnswerTemplate("smollm3"), AnswerSpec());
  const auto is_token = [](const std::string&) { return true; };
  Message user{"user", "x", true, R"({"name": "n"})"}, plain{"assistant", "x"};
  EXPECT_FALSE(WriteCallsInContent(format.calls.front(), is_token, user));
  EXPECT_FALSE(WriteCallsInContent(format.calls.front(), is_token, plain));
  CallFormat tagged = format.calls.front();
  tagged.shape = CallFormat::Shape::kTagged;
  Message message = CallingMessage();
  EXPECT_FALSE(WriteCallsInContent(tagged, is_token, message));
  EXPECT_EQ(message.content, "");
}

}  // namespace
}  // namespace retort
