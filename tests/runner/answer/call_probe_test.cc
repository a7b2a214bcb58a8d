// SPDX-License-Identifier: Apache-2.0
#include "runner/answer/call_probe.h"

#include <gtest/gtest.h>

#include "tests/runner/answer/answer_templates.h"

namespace retort {
namespace {

// Marks with a '|' between them, "*" for any, and "()" around those of a section.
std::string Shown(const CallFormat& f) {
  const auto marks = [](Marks m) {
    for (std::string& mark : m) {
      if (mark.empty()) mark = "*";
    }
    return Join(m, " ");
  };
  std::string out =
      Cat("(", marks(f.section_open), f.list ? "[" : "", ") ", marks(f.call_open), " ");
  switch (f.shape) {
    case CallFormat::Shape::kObject:
      out += f.name_is_key ? "{NAME: {}}" : "{}";
      break;
    case CallFormat::Shape::kNamed:
      out += Cat("NAME ", marks(f.after_name), " {}");
      break;
    case CallFormat::Shape::kTagged:
      out += Cat("NAME ", marks(f.after_name), " / ", marks(f.argument_open), " KEY ",
                 marks(f.argument_value), f.value_lines ? " LINES " : " VALUE ",
                 marks(f.argument_close), " /");
  }
  return Cat(out, " ", marks(f.call_close), " (", f.list ? "]" : "", marks(f.section_close), ")");
}

struct Expected {
  std::string name, marks, before_name, before_arguments;
  size_t formats = 1;
};

TEST(CallProbe, DerivesMarksFromATemplate) {
  const std::string hermes = "<tool_call>\n{\"name\": \"";
  const std::string arguments = "\", \"arguments\": ";
  const std::vector<Expected> cases = {
      {"qwen2.5", "() <tool_call> {} </tool_call> ()", "\n" + hermes, arguments},
      {"qwen3", "() <tool_call> {} </tool_call> ()", hermes, arguments},
      {"qwen3-coder",
       "() <tool_call> <function= NAME > / <parameter= KEY > LINES </parameter> / </function> "
       "</tool_call> ()",
       "\n<tool_call>\n<function=", ">\n"},
      {"glm",
       "() <tool_call> NAME  / <arg_key> KEY </arg_key> <arg_value> VALUE </arg_value> / "
       "</tool_call> ()",
       "\n<tool_call>", "\n"},
      {"minimax",
       "(<minimax:tool_call>) <invoke name=\" NAME \"> / <parameter name=\" KEY \"> VALUE "
       "</parameter> / </invoke> (</minimax:tool_call>)",
       "\n<minimax:tool_call>\n<invoke name=\"", "\">\n"},
      {"llama3.1", "()  {}  ()", "{\"name\": \"", "\", \"parameters\": ", 2},
      {"llama3.1-function", "() <function= NAME > {} </function> ()", "<function=", ">"},
      {"mistral-nemo", "([TOOL_CALLS][)  {}  (])", "[TOOL_CALLS][{\"name\": \"", arguments, 2},
      {"mistral-small", "() [TOOL_CALLS] NAME [CALL_ID] * [ARGS] {}  ()", "[TOOL_CALLS]", "", 2},
      {"devstral", "() [TOOL_CALLS] NAME [ARGS] {}  ()", "[TOOL_CALLS]", "[ARGS]", 2},
      {"deepseek-r1",
       "(<｜tool▁calls▁begin｜>) <｜tool▁call▁begin｜> function <｜tool▁sep｜> NAME ```json {} ``` "
       "<｜tool▁call▁end｜> (<｜tool▁calls▁end｜>)",
       "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>", "\n```json\n"},
      {"deepseek-v3.1",
       "(<｜tool▁calls▁begin｜>) <｜tool▁call▁begin｜> NAME <｜tool▁sep｜> {} <｜tool▁call▁end｜> "
       "(<｜tool▁calls▁end｜>)",
       "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>", "<｜tool▁sep｜>"},
      {"command-r", "(Action: ```json[)  {}  (]```)",
       "\nAction: ```json\n[\n    {\n        \"tool_name\": \"", "\",\n        \"parameters\": "},
      {"command-r7b", "(<|START_ACTION|>[)  {}  (]<|END_ACTION|>)",
       "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"",
       "\", \"parameters\": "},
      {"minimax-m1", "(<tool_calls>)  {}  (</tool_calls>)", "<tool_calls>\n{\"name\": \"",
       arguments},
      {"functools", "(functools[)  {}  (])", " functools[{\"name\": \"", arguments},
      {"kimi",
       "(<|tool_calls_section_begin|>) <|tool_call_begin|> functions. NAME : * "
       "<|tool_call_argument_begin|> {} <|tool_call_end|> (<|tool_calls_section_end|>)",
       "<|tool_calls_section_begin|><|tool_call_begin|>functions.",
       ":0<|tool_call_argument_begin|>"},
      {"apertus", "(<|tools_prefix|>[)  {NAME: {}}  (]<|tools_suffix|>)", "<|tools_prefix|>[{\"",
       "\": "},
      {"granite-3", "(<|tool_call|>[)  {}  (]<|/tool_call|>)", "<|tool_call|>[{\"name\": \"",
       arguments},
      {"smollm3", "() <tool_call> {} </tool_call> ()", hermes, arguments},
      {"phi-4-mini", "(<|tool_call|>[)  {}  (]<|/tool_call|>)", "<|tool_call|>[{\"name\": \"",
       arguments, 2},
  };
  for (const Expected& expected : cases) {
    SCOPED_TRACE(expected.name);
    const AnswerFormat format = FormatOf(expected.name);
    ASSERT_EQ(format.calls.size(), expected.formats);
    EXPECT_EQ(Shown(format.calls[0]), expected.marks);
    EXPECT_EQ(format.calls[0].before_name, expected.before_name);
    EXPECT_EQ(format.calls[0].before_arguments, expected.before_arguments);
    EXPECT_EQ(format.short_ids, expected.name.starts_with("mistral"));
  }
  EXPECT_TRUE(FormatOf("no-tools").calls.empty());
}

TEST(CallProbe, FindsTheMarksOfThoughts) {
  const auto marks = [](const std::string& jinja) {
    const AnswerFormat format = FindAnswerFormat(ChatTemplate::Own(jinja, "t"), AnswerSpec());
    return Cat(format.think_open, " ", format.think_close);
  };
  const auto with = [](const std::string& open, const std::string& close,
                       const std::string& prompt) {
    return Cat(
        "{%- for m in messages -%}{{ '<|' + m.role + '|>' }}{%- if m.reasoning_content -%}{{ '",
        open, "' + m.reasoning_content + '", close,
        "' }}{%- endif -%}{{ m.content + '<|im_end|>' }}{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{ '<|assistant|>",
        prompt, "' }}{%- endif -%}");
  };
  EXPECT_EQ(marks(with("<think>\\n", "\\n</think>\\n\\n", "")), "<think> </think>");
  EXPECT_EQ(marks(with("[THINK]", "[/THINK]", "")), "[THINK] [/THINK]");
  EXPECT_EQ(marks(with("<mind>", "</mind>", "<mind>\\n")), "<mind> </mind>");
  // A template that knows none: what models write whom others have taught to think.
  EXPECT_EQ(marks(TemplateWith("")), "<think> </think>");
  EXPECT_EQ(FormatOf("command-r7b").think_open, "<|START_THINKING|>");
}

TEST(CallProbe, FindsWhatBecomesOfEarlierThoughts) {
  using Earlier = AnswerFormat::Earlier;
  const auto earlier = [](const std::string& content) {
    const std::string jinja =
        Cat("{%- for m in messages -%}{{ '<|' + m.role + '|>' + ", content,
            " + '<|im_end|>' }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|assistant|>' }}"
            "{%- endif -%}");
    return FindAnswerFormat(ChatTemplate::Own(jinja, "t"), AnswerSpec()).earlier;
  };
  EXPECT_EQ(earlier("m.content"), Earlier::kInContent);
  EXPECT_EQ(earlier("m.content.split('</think>')[-1]"), Earlier::kTakenOut);
  EXPECT_EQ(earlier("(m.reasoning_content or '') + m.content"), Earlier::kWritten);
}

TEST(CallProbe, NamedTemplatesKnowNoTools) {
  for (const std::string& name : ChatTemplate::Names())
    EXPECT_TRUE(FindAnswerFormat(ChatTemplate::Named(name), AnswerSpec()).calls.empty()) << name;
}

}  // namespace
}  // namespace retort
