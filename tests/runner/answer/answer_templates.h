// SPDX-License-Identifier: Apache-2.0
// Small chat templates that write calls of tools as published models' templates do, and what their
// model's answers are read with.
#pragma once

#include <map>
#include <ostream>
#include <string>

#include "base/strings.h"
#include "runner/answer/answer_parser.h"
#include "runner/answer/call_probe.h"
#include "template/chat_template.h"

namespace retort {

inline std::string TemplateWith(const std::string& calls, const std::string& prompt = "",
                                const std::string& system = "") {
  return Cat("{%- if tools -%}{{ '<|im_start|>system\\n", system,
             "' + (tools | tojson) + '<|im_end|>\\n' }}{%- endif -%}",
             "{%- for m in messages -%}{{ '<|im_start|>' + m.role + '\\n' }}",
             "{%- if m.content -%}{{ m.content }}{%- endif -%}",
             calls.empty() ? "" : Cat("{%- if m.tool_calls -%}", calls, "{%- endif -%}"),
             "{{ '<|im_end|>\\n' }}{%- endfor -%}",
             "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n", prompt,
             "' }}{%- endif -%}");
}

// `each` is written for every call, whose function is f; `between` between two.
inline std::string ForEach(const std::string& each, const std::string& between = "") {
  return Cat(
      "{%- for c in m.tool_calls -%}{%- set f = c.function -%}{{ ", each, " }}",
      between.empty() ? "" : Cat("{%- if not loop.last -%}{{ '", between, "' }}{%- endif -%}"),
      "{%- endfor -%}");
}
inline std::string Written(const std::string& text) { return Cat("{{ '", text, "' }}"); }

// By the name of a model that writes calls so.
inline const std::map<std::string, std::string>& AnswerTemplates() {
  const std::string object =
      R"('{"name": "' + f.name + '", "arguments": ' + (f.arguments | tojson) + '}')";
  const std::string checked =
      "{%- for c in m.tool_calls -%}{%- if c.id | length != 9 -%}"
      "{{ raise_exception('ids have nine characters') }}{%- endif -%}{%- endfor -%}";
  static const auto* all = new std::map<std::string, std::string>{
      {"qwen2.5",
       TemplateWith(ForEach("'\\n<tool_call>\\n' + " + object + " + '\\n</tool_call>'"))},
      {"qwen3",
       Cat("{#- reasoning in <think></think> -#}",
           TemplateWith(ForEach("'<tool_call>\\n' + " + object + " + '\\n</tool_call>'", "\\n")))},
      {"qwen3-coder",
       TemplateWith("{%- for c in m.tool_calls -%}{%- set f = c.function -%}"
                    "{{ '\\n<tool_call>\\n<function=' + f.name + '>\\n' }}"
                    "{%- for k, v in f.arguments.items() -%}{{ '<parameter=' + k + '>\\n' + "
                    "(v if v is string else (v | tojson)) + '\\n</parameter>\\n' }}{%- endfor -%}"
                    "{{ '</function>\\n</tool_call>' }}{%- endfor -%}")},
      {"glm",
       TemplateWith("{%- for c in m.tool_calls -%}{%- set f = c.function -%}"
                    "{{ '\\n<tool_call>' + f.name + '\\n' }}"
                    "{%- for k, v in f.arguments.items() -%}{{ '<arg_key>' + k + '</arg_key>\\n"
                    "<arg_value>' + (v if v is string else (v | tojson)) + '</arg_value>\\n' }}"
                    "{%- endfor -%}{{ '</tool_call>' }}{%- endfor -%}")},
      {"minimax",
       TemplateWith(Cat(Written("\\n<minimax:tool_call>\\n"),
                        "{%- for c in m.tool_calls -%}{%- set f = c.function -%}"
                        "{{ '<invoke name=\"' + f.name + '\">\\n' }}"
                        "{%- for k, v in f.arguments.items() -%}{{ '<parameter name=\"' + k + '\">'"
                        " + (v if v is string else (v | tojson)) + '</parameter>\\n' }}"
                        "{%- endfor -%}{{ '</invoke>\\n' }}{%- endfor -%}",
                        Written("</minimax:tool_call>")))},
      {"llama3.1",
       Cat("{#- <|python_tag|> -#}",
           TemplateWith(
               "{%- if m.tool_calls | length > 1 -%}{{ raise_exception('one call') }}{%- endif -%}"
               "{%- set f = m.tool_calls[0].function -%}"
               "{{ '{\"name\": \"' + f.name + '\", \"parameters\": ' + (f.arguments | tojson) + '}' }}"))},
      {"llama3.1-function",
       TemplateWith(
           ForEach("'<function=' + f.name + '>' + (f.arguments | tojson) + '</function>'"))},
      {"mistral-nemo",
       TemplateWith(Cat(checked, Written("[TOOL_CALLS]["),
                        ForEach("(f | tojson)[:-1] + ', \"id\": \"' + c.id + '\"}'", ", "),
                        Written("]")))},
      {"mistral-small",
       TemplateWith(
           Cat(checked, ForEach("'[TOOL_CALLS]' + f.name + '[CALL_ID]' + c.id + '[ARGS]' + "
                                "(f.arguments | tojson)")))},
      {"devstral",
       TemplateWith(ForEach("'[TOOL_CALLS]' + f.name + '[ARGS]' + (f.arguments | tojson)"))},
      {"deepseek-r1",
       TemplateWith(
           Cat(Written("<｜tool▁calls▁begin｜>"),
               ForEach("'<｜tool▁call▁begin｜>function<｜tool▁sep｜>' + f.name + '\\n```json\\n'"
                       " + (f.arguments | tojson) + '\\n```<｜tool▁call▁end｜>'",
                       "\\n"),
               Written("<｜tool▁calls▁end｜>")),
           "<think>\\n")},
      {"deepseek-v3.1",
       TemplateWith(Cat(Written("<｜tool▁calls▁begin｜>"),
                        ForEach("'<｜tool▁call▁begin｜>' + f.name + '<｜tool▁sep｜>' + "
                                "(f.arguments | tojson) + '<｜tool▁call▁end｜>'"),
                        Written("<｜tool▁calls▁end｜>")),
                    "</think>")},
      {"command-r",
       TemplateWith(Cat(Written("\\nAction: ```json\\n[\\n"),
                        ForEach("'    {\\n        \"tool_name\": \"' + f.name + '\",\\n        "
                                "\"parameters\": ' + (f.arguments | tojson(indent=4)) + '\\n    }'",
                                ",\\n"),
                        Written("\\n]```")))},
      {"command-r7b",
       TemplateWith(
           Cat("{{ '<|START_THINKING|>' + (m.reasoning_content or '') + '<|END_THINKING|>"
               "<|START_ACTION|>[\\n' }}",
               ForEach("'    {\"tool_call_id\": \"' + (loop.index0 | string) + '\", \"tool_name\": "
                       "\"' + f.name + '\", \"parameters\": ' + (f.arguments | tojson) + '}'",
                       ",\\n"),
               Written("\\n]<|END_ACTION|>")))},
      {"minimax-m1", TemplateWith(Cat(Written("<tool_calls>\\n"), ForEach(object + " + '\\n'"),
                                      Written("</tool_calls>")))},
      {"functools", TemplateWith(Cat(Written(" functools["), ForEach(object, ", "), Written("]")))},
      {"kimi", TemplateWith(Cat(
                   Written("<|tool_calls_section_begin|>"),
                   ForEach("'<|tool_call_begin|>functions.' + f.name + ':' + (loop.index0 | string)"
                           " + '<|tool_call_argument_begin|>' + (f.arguments | tojson) + "
                           "'<|tool_call_end|>'"),
                   Written("<|tool_calls_section_end|>")))},
      {"apertus",
       TemplateWith(Cat(Written("<|tools_prefix|>["),
                        ForEach("'{\"' + f.name + '\": ' + (f.arguments | tojson) + '}'", ", "),
                        Written("]<|tools_suffix|>")))},
      {"granite-3",
       TemplateWith("", "", "Respond only with <|tool_call|> followed by a JSON list of tools. ")},
      {"smollm3", TemplateWith("", "", "Write <tool_call>\\n{\"name\": ...}\\n</tool_call>. ")},
      {"phi-4-mini",
       "{%- for m in messages -%}{%- if m.role == 'system' and 'tools' in m -%}"
       "{{ '<|system|>' + m.content + '<|tool|>' + m['tools'] + '<|/tool|><|im_end|>' }}{%- else -%}"
       "{{ '<|' + m.role + '|>' + m.content + '<|im_end|>' }}{%- endif -%}{%- endfor -%}"
       "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"},
      {"no-tools", TemplateWith("").replace(0, TemplateWith("").find("{%- for"), "")},
  };
  return *all;
}

inline TokenizerSpec AnswerSpec() {
  TokenizerSpec spec;
  spec.pieces = {{"<s>"}, {"</s>"}, {"<|im_end|>"}};
  spec.bos = 0, spec.eos = 1;
  return spec;
}

inline ChatTemplate AnswerTemplate(const std::string& name) {
  return ChatTemplate::Own(AnswerTemplates().at(name), name);
}

inline AnswerFormat FormatOf(const std::string& name) {
  return FindAnswerFormat(AnswerTemplate(name), AnswerSpec());
}

// All of an answer. Pieces of a text that belong together are joined.
struct ReadAnswer {
  std::string content, thought;
  std::vector<std::pair<std::string, std::string>> calls;  // name, arguments
  bool operator==(const ReadAnswer&) const = default;

  friend std::ostream& operator<<(std::ostream& out, const ReadAnswer& read) {
    out << "content [" << read.content << "] thought [" << read.thought << "]";
    for (const auto& [name, arguments] : read.calls) out << " " << name << "(" << arguments << ")";
    return out;
  }
  void Add(const std::vector<AnswerPart>& parts) {
    for (const AnswerPart& part : parts) {
      if (part.kind == AnswerPart::Kind::kContent) content += part.text;
      if (part.kind == AnswerPart::Kind::kThought) thought += part.text;
      if (part.kind == AnswerPart::Kind::kCall) calls.emplace_back(part.text, "");
      if (part.kind == AnswerPart::Kind::kArguments) calls.back().second += part.text;
    }
  }
};

// What a parser makes of pieces.
inline ReadAnswer ReadPieces(const AnswerFormat& format, const std::vector<Tool>& tools,
                             const AnswerParser::Options& options,
                             const std::vector<std::string>& pieces) {
  AnswerParser parser(format, tools, options);
  ReadAnswer out;
  std::vector<AnswerPart> parts;
  for (const std::string& piece : pieces) parser.Push(piece, parts);
  parser.Finish(parts);
  out.Add(parts);
  return out;
}

}  // namespace retort
