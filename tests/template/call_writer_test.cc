// SPDX-License-Identifier: Apache-2.0
#include "template/calls/call_writer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "runner/answer/call_probe.h"
#include "tests/data/support.h"
#include "tests/runner/answer/answer_templates.h"

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

// Granite 3 has no token that closes.
TokenizerSpec SpecWithMarks(const std::string& name) {
  TokenizerSpec spec = AnswerSpec();
  for (const char* mark : {"<|tool_call|>", "<|/tool_call|>", "<tool_call>", "</tool_call>"}) {
    if (name != "granite-3" || std::string_view(mark) == "<|tool_call|>")
      spec.pieces.push_back({mark});
  }
  return spec;
}

Message Written(const CallFormat& format, const TokenizerSpec& spec, const Message& message) {
  std::vector<Message> messages = {message};
  WriteCallsInContent(format, spec, messages, "t");
  return messages[0];
}

TEST(CallWriter, WritesWhatTheModelWrote) {
  for (const WrittenCalls& w : kWrittenCalls) {
    const AnswerFormat format = FormatOf(w.name);
    const TokenizerSpec spec = SpecWithMarks(w.name);
    const Message message = Written(format.calls.front(), spec, CallingMessage());
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

    EXPECT_EQ(Written(format.calls.front(), spec, CallingMessage("One moment.")).content,
              Cat("One moment.\n", w.text));
  }
}

// What a row of training learns, and a prompt of the server begins with.
TEST(CallWriter, TemplatesThatWriteNoCallsAreGivenThemInTheContent) {
  for (const WrittenCalls& w : kWrittenCalls) {
    const ChatTemplate chat = AnswerTemplate(w.name);
    EXPECT_FALSE(chat.MentionsCalls());
    Conversation turns{{"user", "u"}, CallingMessage(), {"tool", "r"}, {"assistant", "a"}};
    turns.tools = R"([{"type": "function", "function": {"name": "add"}}])";
    std::vector<std::string> learnt;
    for (const ChatPiece& piece : chat.Render(turns, false, SpecWithMarks(w.name), "t").pieces) {
      if (!piece.reply) continue;
      learnt.emplace_back();
      for (const Segment& segment : piece.segments) learnt.back() += segment.text;
    }
    ASSERT_EQ(learnt.size(), 2u) << w.name;
    EXPECT_TRUE(learnt[0].starts_with(w.text)) << learnt[0];
    EXPECT_EQ(learnt[1], Cat("a", learnt[0].substr(std::string_view(w.text).size())));
  }
}

// The marks may become tokens, and nothing that looks like them in the arguments.
TEST(CallWriter, OnlyItsOwnMarksAreMarkup) {
  const RenderedChat rendered = AnswerTemplate("smollm3").Render(
      Conversation{{"user", "hi"}, CallingMessage(), {"user", "a <tool_call>"}}, true,
      SpecWithMarks("smollm3"), "test");
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
  const CallFormat format = FormatOf("smollm3").calls.front();
  const TokenizerSpec spec = SpecWithMarks("smollm3");
  const auto left = [&](const Message& message) {
    const Message written = Written(format, spec, message);
    return written.content == message.content && written.more == message.more;
  };
  EXPECT_TRUE(left({"user", "x", true, R"({"tool_calls": [{"name": "n"}]})"}));
  for (const char* more : {"", R"({"name": "n"})", R"({"tool_calls": 1})", R"({"tool_calls": []})",
                           R"({"tool_calls": [1]})", R"({"tool_calls": [{"function": 1}]})",
                           R"({"tool_calls": [{"function": {"name": 1}}]})"})
    EXPECT_TRUE(left({"assistant", "x", true, more})) << more;
  CallFormat tagged = format;
  tagged.shape = CallFormat::Shape::kTagged;
  EXPECT_EQ(Written(tagged, spec, CallingMessage()).content, "");
  EXPECT_EQ(InputFault([&] {
              Written(format, spec,
                      {"assistant", "", true,
                       R"({"tool_calls": [{"function": {"name": "n", "arguments": "{"}}]})"});
            }).find("t: message 1: a tool call's 'arguments'"),
            0u);
}

}  // namespace
}  // namespace retort
