// SPDX-License-Identifier: Apache-2.0
// Answers that are drawn at random from the grammar of calls, read as the server reads them.
#include "runner/answer/call_grammar.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "base/error.h"
#include "base/strings.h"
#include "grammar/compile.h"
#include "tests/runner/answer/answer_templates.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

constexpr const char* kWeather =
    R"({"type": "object", "properties": {"city": {"type": "string", "minLength": 1, "maxLength": 6},
        "unit": {"enum": ["C", "F"]}, "days": {"type": "integer", "minimum": 1, "maximum": 14},
        "tag": {"type": "string", "pattern": "^[a-z<>/]{2,30}$"}},
        "required": ["city", "days"], "additionalProperties": false})";
constexpr const char* kAdd =
    R"({"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"],
        "additionalProperties": false,
        "$defs": {"n": {"type": "integer", "maximum": 9, "minimum": 0}}})";

std::vector<Tool> StrictTools() {
  return {{"get_weather",
           {{"city", {"string"}}, {"unit", {}}, {"days", {"integer"}}, {"tag", {"string"}}},
           kWeather},
          {"add", {{"n", {}}}, kAdd}};
}

std::shared_ptr<const Grammar> GrammarOf(const AnswerFormat& format, const std::vector<Tool>& tools,
                                         const CallGrammarOptions& options) {
  static const ByteTokenizer tokenizer;
  static const auto words = std::make_shared<const Vocabulary>(tokenizer);
  return CompileGrammar(
      [&](GrammarParts& parts) { return CallGrammar(format, tools, options, "arguments", parts); },
      "test", words);
}

// An answer that begins so and goes on at random, mostly without white space.
std::string RandomAnswer(const std::shared_ptr<const Grammar>& grammar, const std::string& begin,
                         std::mt19937& random) {
  Matcher matcher(grammar);
  EXPECT_TRUE(matcher.AcceptText(begin)) << begin;
  std::string text = begin;
  TokenMask bits(matcher.vocabulary().mask_words());
  while (!matcher.CanEnd() || (matcher.CanGoOn() && random() % 8 != 0)) {
    matcher.FillMask(bits);
    std::vector<int32_t> allowed;
    for (int32_t id = 0; id < matcher.vocabulary().size(); ++id) {
      if (!(bits[static_cast<size_t>(id) / 64] >> id % 64 & 1)) continue;
      const bool space = IsAsciiSpace(matcher.vocabulary().TextOf(id).front());
      if (!space || random() % 16 == 0) allowed.push_back(id);
    }
    if (allowed.empty()) continue;
    const int32_t id = allowed[random() % allowed.size()];
    text += matcher.vocabulary().TextOf(id);
    EXPECT_TRUE(matcher.Accept(id));
  }
  return text;
}

void ExpectValid(const ReadAnswer& read, const std::string& answer) {
  for (const auto& [name, arguments] : read.calls) {
    ASSERT_TRUE(name == "get_weather" || name == "add") << answer;
    const auto schema = CompileGrammar(
        {GrammarSource::Kind::kSchema, name == "add" ? kAdd : kWeather}, "test", nullptr);
    EXPECT_TRUE(schema->Matches(DumpJson(ParseJson(arguments, "arguments")))) << answer;
  }
}

class CallGrammars : public testing::TestWithParam<std::string> {};

TEST_P(CallGrammars, EveryCallSatisfiesItsToolsSchema) {
  const AnswerFormat format = FormatOf(GetParam());
  std::mt19937 random(5);
  for (const bool required : {false, true}) {
    for (const bool one_call : {false, true}) {
      const auto grammar = GrammarOf(format, StrictTools(), {false, required, one_call});
      for (int i = 0; i < 10; ++i) {
        // Without a beginning, few answers of random bytes would come to a call.
        const std::string text = required || format.calls[0].IsBare() || i % 2 == 0 ? "" : "Well, ";
        const std::string begin = text + format.calls[0].before_name;
        const std::string answer = RandomAnswer(grammar, begin, random);
        for (const bool whole : {false, true}) {
          const ReadAnswer read =
              ReadPieces(format, StrictTools(),
                         {.calls = true, .whole_calls = whole, .one_call = one_call}, {answer});
          EXPECT_GE(read.calls.size(), 1u) << answer;
          EXPECT_LE(read.calls.size(), one_call ? 1u : 100u) << answer;
          ExpectValid(read, answer);
        }
      }
    }
  }
}

// What the template itself writes.
std::string WrittenCall(const std::string& name) {
  const Json arguments = {{"city", "Rome"}, {"days", 3}};
  const Json calls = {{{"id", "call00001"},
                       {"type", "function"},
                       {"function", {{"name", "get_weather"}, {"arguments", arguments}}}}};
  Conversation conversation(
      {{"user", "hi"},
       {"assistant", "", true, DumpJson({{"content", nullptr}, {"tool_calls", calls}})}});
  const std::string text =
      AnswerTemplate(name).RenderText(conversation, false, AnswerSpec(), "").bytes();
  const std::string begin = "<|im_start|>assistant\n";
  const size_t at = text.find(begin);
  if (at == std::string::npos || text.find("get_weather") == std::string::npos) return "";
  const std::string answer = text.substr(at + begin.size());
  return answer.substr(0, answer.find("<|im_end|>"));
}

TEST_P(CallGrammars, WhatTheTemplateWritesIsAllowed) {
  std::string written;
  try {
    written = WrittenCall(GetParam());
  } catch (const Error&) {
    GTEST_SKIP() << "this template writes no calls";
  }
  if (written.empty()) GTEST_SKIP() << "this template writes no calls";
  const AnswerFormat format = FormatOf(GetParam());
  const auto grammar = GrammarOf(format, StrictTools(), {});
  EXPECT_TRUE(grammar->Matches(written)) << written << "\n" << grammar->CountRead(written);
  for (const auto& [from, to] :
       {std::pair{"get_weather", "get_wetter"}, {"Rome", "Rome is it"}, {"days", "hours"}}) {
    std::string wrong = written;
    wrong.replace(wrong.find(from), std::string(from).size(), to);
    EXPECT_FALSE(grammar->Matches(wrong)) << wrong;
  }
}

TEST_P(CallGrammars, TextsAndThoughtsAreFree) {
  const AnswerFormat format = FormatOf(GetParam());
  const auto grammar = GrammarOf(format, StrictTools(), {});
  for (const char* text : {"", "Hello. <b>[1]</b> {\"a\": 1}", "\xFF", "x <tool_cal", "\n\n"})
    EXPECT_TRUE(grammar->Matches(text)) << text;
  std::string apart;  // the marks that open a call, far from each other
  for (const Marks* marks : {&format.calls[0].section_open, &format.calls[0].call_open})
    for (const std::string& mark : *marks)
      apart += Cat(apart.empty() ? "" : std::string(99, ' '), mark);
  EXPECT_EQ(grammar->Matches(Cat("Well ", apart, " no")), apart.empty()) << apart;
  const auto required = GrammarOf(format, StrictTools(), {.required = true});
  EXPECT_EQ(required->CountRead("Well"), 0u);
  EXPECT_FALSE(required->Matches(""));
  if (format.think_open.empty()) return;
  const std::string thought =
      Cat(format.think_open, "{", format.calls[0].before_name, "?", format.think_close);
  EXPECT_TRUE(grammar->Matches(thought + "\n\nHello"));
  EXPECT_FALSE(grammar->Matches(Cat(thought, format.calls[0].before_name, "no")));
  const auto opened = GrammarOf(format, StrictTools(), {.in_thought = true, .required = true});
  EXPECT_FALSE(opened->Matches(Cat("hm", format.think_close)));
}

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const auto& [name, text] : AnswerTemplates())
    if (name != "no-tools") names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Templates, CallGrammars, testing::ValuesIn(Names()), [](const auto& info) {
  std::string name = info.param;
  std::ranges::replace_if(
      name, [](char c) { return c == '-' || c == '.'; }, '_');
  return name;
});

TEST(CallGrammar, AToolThatIsNotStrictTakesAnyObject) {
  std::vector<Tool> tools = StrictTools();
  tools.push_back({"note"});
  const auto object = GrammarOf(FormatOf("qwen3"), tools, {});
  const std::string note = R"(<tool_call>{"name": "note", "arguments": )";
  EXPECT_TRUE(object->Matches(note + R"({"x": [1, {"y": null}]}})"));
  EXPECT_FALSE(object->Matches(note + R"([1]})"));
  const auto tagged = GrammarOf(FormatOf("glm"), tools, {});
  EXPECT_TRUE(
      tagged->Matches("<tool_call>note\n<arg_key>x</arg_key>\n<arg_value>a b</arg_value>\n"
                      "</tool_call>"));
}

std::string RefusalOf(const AnswerFormat& format, const std::vector<Tool>& tools) {
  try {
    GrammarOf(format, tools, {});
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::kInput);
    return e.what();
  }
  return "";
}

std::string Joined(const Marks& marks) {
  std::string text;
  for (const std::string& mark : marks) text += mark;
  return text;
}

// A call of "f" with one argument "x" between marks.
std::string TaggedCall(const CallFormat& format, const std::string& value) {
  const std::string line = format.value_lines ? "\n" : "";
  return Cat(format.before_name, "f", Joined(format.after_name), Joined(format.argument_open), "x",
             Joined(format.argument_value), line, value, line, Joined(format.argument_close),
             Joined(format.call_close));
}

// The reader takes the mark for the end of the value, in a string of JSON too.
TEST(CallGrammar, JsonBetweenMarksHoldsNoMark) {
  for (const std::string& name : Names()) {
    const AnswerFormat format = FormatOf(name);
    const CallFormat& call = format.calls.front();
    if (call.shape != CallFormat::Shape::kTagged) continue;
    const std::string mark = call.argument_close.front();
    const auto expect = [&](const std::string& schema, const std::vector<std::string>& allowed,
                            const std::vector<std::string>& refused) {
      const auto grammar = GrammarOf(
          format, {{"f", {{"x", {}}}, Cat(R"({"properties": {"x": )", schema, "}}")}}, {});
      for (const std::string& value : allowed)
        EXPECT_TRUE(grammar->Matches(TaggedCall(call, value))) << name << ": " << value;
      for (const std::string& value : refused)
        EXPECT_FALSE(grammar->Matches(TaggedCall(call, value))) << name << ": " << value;
    };
    const std::string in_text = Cat("\"a", mark, "b\""), in_name = Cat("{\"", mark, "\": 1}");
    const std::string escaped = ReplaceAll(in_text, "/", "\\/");
    expect("{}", {"\"a<b\"", escaped, "[1, {\"a\": \"<\"}]"},
           {in_text, in_name, Cat("[1, {\"a\": ", in_text, "}]")});
    expect(R"({"type": ["string", "null"], "minLength": 1})", {"null", "\"ab\""}, {in_text});
    expect(Cat("{\"enum\": [", in_text, ", \"b\", [", in_text, "], ", in_name, "]}"), {"\"b\""},
           {in_text, Cat("[", in_text, "]"), in_name});
    expect(Cat("{\"type\": \"object\", \"properties\": {\"", mark, "\": {}, \"b\": {}}}"),
           {"{\"b\": 1}"}, {in_name});
    const std::string only =
        Cat(R"({"required": ["x"], "properties": {"x": {"const": )", in_text, "}}}");
    EXPECT_EQ(RefusalOf(format, {{"f", {{"x", {}}}, only}}),
              "arguments of 'f': no object that this model can write satisfies the schema");
    AnswerFormat commas = format;
    commas.calls.front().argument_close = {","};
    EXPECT_EQ(RefusalOf(commas, {{"f", {{"x", {}}}, R"({"properties": {"x": {}}})"}}),
              "arguments of 'f': #/properties/x: must be a 'string' in this model's form of calls");
  }
}

TEST(CallGrammar, ToolsThatNothingSatisfiesAreRefusedByName) {
  const std::vector<Tool> tools = StrictTools();
  for (const char* model : {"qwen3", "glm"}) {
    for (const char* schema :
         {R"({"type": "object", "required": ["a"], "properties": {"a": false}})",
          R"({"type": "object", "required": ["a"], "properties":
                                   {"a": {"type": "string", "minLength": 2, "maxLength": 1}}})"}) {
      EXPECT_EQ(RefusalOf(FormatOf(model), {tools[0], {"f", {{"a", {}}}, schema}}),
                "arguments of 'f': no object that this model can write satisfies the schema");
    }
  }
  EXPECT_EQ(RefusalOf(FormatOf("qwen3"), {tools[0], {"f", {}, R"({"type": "array"})"}}),
            "arguments of 'f': no object that this model can write satisfies the schema");
}

// What tools may cost together is bounded, however many there are.
TEST(CallGrammar, ToolsShareOneBudget) {
  const auto many = [](int count, const std::string& schema) {
    std::vector<Tool> tools;
    tools.reserve(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) tools.push_back({Cat("f", i), {{"x", {}}}, schema});
    return tools;
  };
  const std::string heavy = R"({"properties": {"x": {"type": "array", "uniqueItems": true,
      "items": {"type": "integer", "minimum": 1, "maximum": 12}}}})";
  const std::string long_schema =
      Cat(R"({"description": ")", std::string(500'000, 'd'), R"(", "properties": {"x": {}}})");
  for (const char* model : {"qwen3", "glm"}) {
    const AnswerFormat format = FormatOf(model);
    EXPECT_EQ(RefusalOf(format, many(5, heavy)), "");
    EXPECT_NE(RefusalOf(format, many(30, heavy)).find("steps of work"), std::string::npos);
    EXPECT_EQ(RefusalOf(format, many(128, kAdd)), "");
    EXPECT_NE(RefusalOf(format, many(129, kAdd)).find("at most 128 tools may be strict"),
              std::string::npos);
    EXPECT_EQ(RefusalOf(format, many(4, long_schema)), "");
    EXPECT_NE(RefusalOf(format, many(5, long_schema)).find("2097152 bytes together"),
              std::string::npos);
  }
}

TEST(CallGrammar, RefusesByToolAndPlace) {
  const auto said = [](const std::string& model, const std::string& schema) {
    return RefusalOf(FormatOf(model), {{"f", {}, schema}});
  };
  EXPECT_EQ(said("qwen3", R"({"properties": {"a": {"format": "regex"}}})"),
            "arguments of 'f': #/properties/a: 'format' 'regex' is not supported");
  const std::string form =
      "in this model's form of calls, which writes one argument after the other";
  EXPECT_EQ(said("glm", R"({"type": "object", "minProperties": 1})"),
            "arguments of 'f': #: 'minProperties' is not supported " + form);
  EXPECT_NE(said("glm", R"({"properties": {"a<": {}}})"), "");
}

}  // namespace
}  // namespace retort
