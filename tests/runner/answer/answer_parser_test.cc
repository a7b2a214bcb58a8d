// SPDX-License-Identifier: Apache-2.0
#include "runner/answer/answer_parser.h"

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <random>

#include "base/json.h"
#include "tests/runner/answer/answer_templates.h"

namespace retort {
namespace {

using Calls = std::vector<std::pair<std::string, std::string>>;

const std::vector<Tool>& TwoTools() {
  static const auto* tools = new std::vector<Tool>{
      {"get_weather", {{"city", {"string"}}, {"days", {"integer"}}, {"note", {"string"}}}},
      {"add", {}}};
  return *tools;
}

// What is read of a text. Fails if another way of cutting it into pieces gives something else.
ReadAnswer Read(const AnswerFormat& format, const std::string& text,
                AnswerParser::Options options = {}) {
  options.calls = true;
  const ReadAnswer whole = ReadPieces(format, TwoTools(), options, {text});
  std::vector<std::string> bytes;
  for (const char c : text) bytes.emplace_back(1, c);
  EXPECT_EQ(ReadPieces(format, TwoTools(), options, bytes), whole) << text;
  std::mt19937 random(7);
  for (int i = 0; i < 3; ++i) {
    std::vector<std::string> pieces;
    for (size_t at = 0; at < text.size();) {
      const size_t size = 1 + random() % 9;
      pieces.push_back(text.substr(at, size));
      at += size;
    }
    EXPECT_EQ(ReadPieces(format, TwoTools(), options, pieces), whole) << text;
  }
  return whole;
}

ReadAnswer Streamed(const AnswerFormat& format, const std::string& text) {
  AnswerParser::Options options;
  options.whole_calls = false;
  return Read(format, text, options);
}

Json SomeValue(std::mt19937& random, int depth) {
  const std::vector<Json> plain = {1,  -2.5,        true,        nullptr, "Róma",
                                   "", "a \"b\"\\", "</t>\n<x>", "{\"}",  12345678901};
  const unsigned kind = random() % (depth > 2 ? 10 : 13);
  if (kind < 10) return plain[kind];
  Json out = kind == 10 ? Json::object() : Json::array();
  for (unsigned i = 0; i < random() % 4; ++i) {
    if (out.is_object())
      out[Cat("k", i)] = SomeValue(random, depth + 1);
    else
      out.push_back(SomeValue(random, depth + 1));
  }
  return out;
}

// The answer that a template writes for these calls.
std::string Written(const std::string& name, const std::string& content, const Json& calls) {
  const ChatTemplate chat = AnswerTemplate(name);
  const Message user{"user", "q"};
  Json more = {{"tool_calls", calls}};
  if (content.empty()) more["content"] = nullptr;
  const TokenizerSpec spec = AnswerSpec();
  const std::string whole =
      chat.RenderText({user, {"assistant", content, true, DumpJson(more)}}, false, spec, "")
          .bytes();
  const std::string head = "<|im_start|>assistant\n";
  const size_t begin = whole.rfind(head) + head.size();
  return whole.substr(begin, whole.rfind("<|im_end|>") - begin);
}

class EveryFormat : public testing::TestWithParam<std::string> {};

TEST_P(EveryFormat, ReadsTheCallsThatTheTemplateWrites) {
  const AnswerFormat format = FormatOf(GetParam());
  const bool one = GetParam() == "llama3.1",
             tagged = GetParam() == "qwen3-coder" || GetParam() == "glm" || GetParam() == "minimax";
  const bool thinks = GetParam() == "command-r7b";
  std::mt19937 random(11);
  for (int i = 0; i < 200; ++i) {
    Json calls = Json::array();
    Calls wanted;
    for (unsigned k = 0; k < (one ? 1 : 1 + random() % 3); ++k) {
      const std::string name = random() % 2 ? "add" : "get_weather";
      Json arguments = Json::object();
      const unsigned count = random() % 4;
      for (unsigned a = 0; a < count; ++a) {
        // Text between marks has no types; what looks like JSON is JSON.
        arguments[Cat("a", a)] =
            tagged ? Json(Cat("text ", a, "\n<b> \"c\"")) : SomeValue(random, 0);
      }
      calls.push_back({{"id", Cat("abcdefgh", k)},
                       {"type", "function"},
                       {"function", {{"name", name}, {"arguments", arguments}}}});
      wanted.emplace_back(name, DumpJson(arguments));
    }
    const std::string content = i % 2 == 1 && !one && !thinks ? "I look it up." : "";
    const std::string text = Written(GetParam(), content, calls);
    for (const bool whole : {true, false}) {
      ReadAnswer read = whole ? Read(format, text) : Streamed(format, text);
      for (auto& [name, arguments] : read.calls) arguments = DumpJson(ParseJson(arguments, "read"));
      ASSERT_EQ(read.calls, wanted) << text;
      EXPECT_EQ(read.content, content) << text;
      EXPECT_EQ(read.thought, "");
    }
  }
}

// Whatever is cut off or broken, nothing is lost, and what is read as a whole is never half a call.
TEST_P(EveryFormat, KeepsWhatIsNoCall) {
  const AnswerFormat format = FormatOf(GetParam());
  const Json call = {{"id", "abcdefghi"},
                     {"type", "function"},
                     {"function", {{"name", "add"}, {"arguments", {{"a", "x"}, {"b", "y"}}}}}};
  const bool one = GetParam() == "llama3.1";
  const std::string text =
      Written(GetParam(), "", one ? Json::array({call}) : Json::array({call, call}));
  std::mt19937 random(3);
  for (size_t cut = 0; cut < text.size(); ++cut) {
    for (const bool mutate : {false, true}) {
      std::string broken = mutate ? text : text.substr(0, cut);
      if (mutate) broken[cut] = "<>{}[]\":,x\n"[random() % 11];
      const ReadAnswer read = Read(format, broken);
      for (const auto& [name, arguments] : read.calls) {
        EXPECT_FALSE(name.empty()) << broken;
        EXPECT_TRUE(ParseJson(arguments, "read", false, RepeatedKeys::kLast).is_object()) << broken;
      }
      if (read.calls.empty()) {
        const bool thought = StartsWith(broken, format.think_open);
        EXPECT_EQ(Strip(read.content), thought ? Strip(read.content) : Strip(broken));
      }
      Streamed(format, broken);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AnswerParser, EveryFormat,
                         testing::Values("qwen2.5", "qwen3", "qwen3-coder", "glm", "minimax",
                                         "llama3.1", "llama3.1-function", "mistral-nemo",
                                         "mistral-small", "devstral", "deepseek-r1",
                                         "deepseek-v3.1", "command-r", "command-r7b", "minimax-m1",
                                         "functools", "kimi", "apertus"),
                         [](const auto& name) {
                           std::string out;
                           for (const char c : name.param)
                             out += IsIdCharacter(c) && c != '.' && c != '-' ? c : '_';
                           return out;
                         });

TEST(AnswerParser, TakesMarksWithOtherWhiteSpace) {
  const Calls wanted = {{"add", R"({"a": 1})"}};
  const std::string call = R"({"name": "add", "arguments": {"a": 1}})";
  for (const std::string& text :
       {Cat("<tool_call>", call, "</tool_call>"),
        Cat("\n\n<tool_call>\n\n ", call, "\n \n</tool_call>\n"),
        Cat("<tool_call>[", call, "]</tool_call>"), Cat("<tool_call>", call),
        Cat("<tool_call>\n{\"arguments\": {\"a\": 1}, \"id\": 5, \"name\": \"add\"}</tool_call>"),
        Cat(R"(<tool_call>{"type": "function", "function": )", call, "}</tool_call>"),
        Cat(R"(<tool_call>{"name": "add", "arguments": "{\"a\": 1}"}</tool_call>)")}) {
    EXPECT_EQ(Read(FormatOf("qwen2.5"), text), (ReadAnswer{"", "", wanted})) << text;
    EXPECT_EQ(Streamed(FormatOf("qwen2.5"), text), (ReadAnswer{"", "", wanted})) << text;
  }
  EXPECT_EQ(Read(FormatOf("qwen2.5"), "<tool_call>{\"name\": \"now\"}</tool_call>").calls,
            (Calls{{"now", "{}"}}));
  EXPECT_EQ(Read(FormatOf("granite-3"), Cat("<|tool_call|>[", call, ", ", call, "]")).calls,
            (Calls{wanted[0], wanted[0]}));
  EXPECT_EQ(Read(FormatOf("phi-4-mini"), Cat("functools[", call, "]")).calls, wanted);
  EXPECT_EQ(Read(FormatOf("phi-4-mini"), Cat("<|tool_call|>[", call, "]<|/tool_call|>")),
            (ReadAnswer{"", "", wanted}));
  EXPECT_EQ(Read(FormatOf("mistral-nemo"), R"([TOOL_CALLS]add[ARGS]{"a": 1})").calls, wanted);
  EXPECT_EQ(Read(FormatOf("devstral"), Cat("[TOOL_CALLS] [", call, "]")).calls, wanted);
}

TEST(AnswerParser, LlamaCallsWithoutMarks) {
  const AnswerFormat format = FormatOf("llama3.1");
  const std::string call = R"({"name": "add", "parameters": {"a": 1}})";
  const std::pair<std::string, std::string> wanted = {"add", R"({"a": 1})"};
  EXPECT_EQ(Read(format, call), (ReadAnswer{"", "", {wanted}}));
  EXPECT_EQ(Read(format, Cat("<|python_tag|>", call)), (ReadAnswer{"", "", {wanted}}));
  EXPECT_EQ(Read(format, Cat(R"({"type": "function", )", call.substr(1))).calls, (Calls{wanted}));
  EXPECT_EQ(Read(format, Cat(call, "; ", call)).calls, (Calls{wanted, wanted}));
  EXPECT_EQ(Read(format, Cat(call, "\n", call, "\n")), (ReadAnswer{"", "", {wanted, wanted}}));
  // JSON that is an answer.
  for (const std::string& text :
       {std::string(R"({"city": "Rome", "days": [1, 2]})"),
        std::string(R"({"name": "Rome", "parameters": {"a": 1}})"), Cat("The call is ", call),
        Cat("{", call, "}"), std::string("{"), std::string("{}"),
        std::string(R"({"name": "add", "parameters": {"a": 1}, "extra": 2})"),
        std::string("{\"name\": \"add\"")}) {
    EXPECT_EQ(Read(format, text), (ReadAnswer{text, "", {}}));
  }
}

TEST(AnswerParser, SplitsThoughts) {
  const AnswerFormat format = FormatOf("qwen3");
  const auto read = [&](const std::string& text, bool in_thought = false, bool calls = true) {
    AnswerParser::Options options;
    options.in_thought = in_thought;
    options.calls = calls;
    return ReadPieces(format, TwoTools(), options, {text});
  };
  for (const bool calls : {true, false}) {
    EXPECT_EQ(read("<think>\nhm, 2 < 3\n\nyes\n</think>\n\nIt is so.\n", false, calls),
              (ReadAnswer{"It is so.\n", "hm, 2 < 3\n\nyes", {}}));
    EXPECT_EQ(read("hm\n</think>\n\nyes", true, calls), (ReadAnswer{"yes", "hm", {}}));
    EXPECT_EQ(read("<think>\nhm\n</think>yes", true, calls), (ReadAnswer{"yes", "hm", {}}));
    EXPECT_EQ(read("<think>\n\n</think>\n\nyes", false, calls), (ReadAnswer{"yes", "", {}}));
    EXPECT_EQ(read("  still thinking ", true, calls), (ReadAnswer{"", "still thinking", {}}));
    // Text as it is.
    for (const char* text :
         {" \n a <think> b </think>\n ", "", " ", "<thi", "<", "</think> a", "<thinks>"})
      EXPECT_EQ(read(text, false, calls), (ReadAnswer{text, "", {}}));
  }
  EXPECT_EQ(read("<think>\nuse <tool_call>\n</think>\n\nOk.\n<tool_call>\n{\"name\": \"add\", "
                 "\"arguments\": {}}\n</tool_call>"),
            (ReadAnswer{"Ok.", "use <tool_call>", {{"add", "{}"}}}));
  Read(format, "<think>\na\n</think>\n\nb <tool_call>{\"name\": \"add\"}</tool_call> c");
  const AnswerFormat r7b = FormatOf("command-r7b");
  EXPECT_EQ(
      Read(r7b,
           "<|START_THINKING|>I add.<|END_THINKING|><|START_ACTION|>[\n    {\"tool_call_id\": "
           "\"0\", \"tool_name\": \"add\", \"parameters\": {\"a\": 1}}\n]<|END_ACTION|>"),
      (ReadAnswer{"", "I add.", {{"add", "{\"a\": 1}"}}}));
}

TEST(AnswerParser, TextAroundCallsIsContent) {
  const AnswerFormat format = FormatOf("qwen2.5");
  const std::string call = "<tool_call>\n{\"name\": \"add\", \"arguments\": {}}\n</tool_call>";
  EXPECT_EQ(Read(format, Cat("First this.\n", call, "\n", call, "\nThen that.\n")),
            (ReadAnswer{"First this.\nThen that.\n", "", {{"add", "{}"}, {"add", "{}"}}}));
  // A call that is none does not hide the one behind it.
  for (const std::string& none :
       {std::string("<tool_call>"), std::string("<tool_call>\n<tool_"),
        std::string("<tool_call>\n{\"name\": add}\n</tool_call>\n"),
        std::string("<tool_call>\n{\"name\": \"add\", \"arguments\": [1]}\n</tool_call>\n"),
        std::string("<tool_call>[1]"),
        std::string(
            "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": }}\n</tool_call>\n")}) {
    EXPECT_EQ(Read(format, none + call).calls, (Calls{{"add", "{}"}})) << none;
    EXPECT_EQ(Read(format, none + call).content, std::string(Strip(none))) << none;
  }
}

TEST(AnswerParser, TellsACallOfAStreamAsSoonAsItIsOne) {
  const AnswerFormat format = FormatOf("qwen2.5");
  AnswerParser::Options options;
  options.calls = true;
  options.whole_calls = false;
  AnswerParser parser(format, TwoTools(), options);
  const auto push = [&](const std::string& text) {
    std::vector<AnswerPart> parts;
    parser.Push(text, parts);
    return parts;
  };
  using Kind = AnswerPart::Kind;
  using Parts = std::vector<AnswerPart>;
  EXPECT_EQ(push("Well. "), (Parts{{Kind::kContent, "Well."}}));
  EXPECT_EQ(push("<tool_call>\n{\"name\": \"ad"), Parts{});
  EXPECT_EQ(push("d\", \"arguments\": "), Parts{});
  EXPECT_EQ(push("{\"a\": [1"), (Parts{{Kind::kCall, "add"}, {Kind::kArguments, "{\"a\": [1"}}));
  EXPECT_EQ(push(", 2]}"), (Parts{{Kind::kArguments, ", 2]}"}}));
  EXPECT_EQ(push("}\n</tool_call>"), Parts{});
  EXPECT_EQ(parser.calls(), 1);
  // Arguments that are none are told as they stand, up to the mark.
  const ReadAnswer broken = Streamed(
      format,
      "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": oh no}}\n</tool_call>\nSorry.");
  EXPECT_EQ(broken.calls, (Calls{{"add", "{\"a\": oh no}}\n"}}));
  EXPECT_EQ(broken.content, "Sorry.");
}

TEST(AnswerParser, TypesOfValuesBetweenMarks) {
  const AnswerFormat format = FormatOf("qwen3-coder");
  const auto read = [&](const std::string& parameters) {
    const std::string text =
        Cat("<tool_call>\n<function=get_weather>\n", parameters, "</function>\n</tool_call>");
    EXPECT_EQ(Streamed(format, text), Read(format, text));
    const ReadAnswer read = Read(format, text);
    return read.calls.size() == 1 ? read.calls[0].second : Cat("no call: ", read.content);
  };
  const auto one = [&](const std::string& key, const std::string& value) {
    return read(Cat("<parameter=", key, ">\n", value, "\n</parameter>\n"));
  };
  EXPECT_EQ(read(""), "{}");
  EXPECT_EQ(one("days", "3"), R"({"days": 3})");
  EXPECT_EQ(one("days", "three"), R"({"days": "three"})");
  EXPECT_EQ(one("city", "3"), R"({"city": "3"})");
  EXPECT_EQ(one("city", " \"R\\óm\n<a\" "), R"({"city": " \"R\\óm\n<a\" "})");
  EXPECT_EQ(one("other", R"({"a": [1, 2.50]})"), R"({"other": {"a": [1, 2.50]}})");
  EXPECT_EQ(one("other", "True"), R"({"other": true})");
  EXPECT_EQ(one("other", "None"), R"({"other": null})");
  EXPECT_EQ(one("other", "some text"), R"({"other": "some text"})");
  EXPECT_EQ(read("<parameter=city>Rome</parameter><parameter=days>1</parameter>"),
            R"({"city": "Rome", "days": 1})");
}

TEST(AnswerParser, OneCallEndsTheAnswer) {
  AnswerParser::Options options;
  options.one_call = true;
  const std::string call = R"(<tool_call>{"name": "add", "arguments": {}}</tool_call>)";
  EXPECT_EQ(Read(FormatOf("qwen2.5"), Cat("a", call, call, "b"), options),
            (ReadAnswer{"a", "", {{"add", "{}"}}}));
}

// The time for ten times the text is that of a text, not of a square: the bounds would be passed by
// hours.
TEST(AnswerParser, HostileAnswersTakeTimeInProportion) {
  const auto times = [](const std::string& text, size_t bytes) {
    std::string out;
    while (out.size() < bytes) out += text;
    return out;
  };
  constexpr size_t kBytes = 4'000'000;
  const std::string call = R"(<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>)";
  const AnswerFormat hermes = FormatOf("qwen2.5");
  AnswerParser::Options options;
  options.calls = true;
  const auto read = [&](const AnswerFormat& format, const std::string& text) {
    return ReadPieces(format, TwoTools(), options, {text});
  };
  EXPECT_EQ(read(hermes, times(call, kBytes)).calls.size(),
            (kBytes + call.size() - 1) / call.size());
  for (const char* part :
       {"<tool_call>", "<tool_call>{", "<tool_call>{\"name\": \"", "<", "<tool_call",
        "<tool_call>[", "</tool_call>", " ", "\n<tool_call> ", "<tool_call>{\"a\":"}) {
    const std::string text = times(part, kBytes);
    EXPECT_EQ(Strip(read(hermes, text).content).size(), Strip(text).size()) << part;
  }
  const std::string nested =
      Cat(R"(<tool_call>{"name": "add", "arguments": {"a": )", times("[", kBytes));
  EXPECT_EQ(read(hermes, nested).content.size(), nested.size());
  for (const auto& [name, jinja] : AnswerTemplates()) {
    const AnswerFormat format = FormatOf(name);
    for (const CallFormat& f : format.calls) {
      const std::string open = Join(f.section_open, "") + Join(f.call_open, "");
      for (const char* more : {"", "a", "{", "[{", "{\"name\": \"add\"", " "})
        read(format, times(Cat(open, more, " "), kBytes / 16));
    }
  }
}

}  // namespace
}  // namespace retort
