// SPDX-License-Identifier: Apache-2.0
#include "template/calls/call_table.h"

#include <algorithm>

namespace retort {
namespace {

constexpr const char* kBehindName = R"(", "arguments": )";

CallFormat ObjectFormat(Marks open, Marks close, std::string before_name) {
  CallFormat format;
  format.call_open = std::move(open);
  format.call_close = std::move(close);
  format.before_name = std::move(before_name);
  format.before_arguments = kBehindName;
  return format;
}

CallFormat ListFormat(Marks open, Marks close, std::string before_name) {
  CallFormat format;
  format.list = true;
  format.section_open = std::move(open);
  format.section_close = std::move(close);
  format.before_name = std::move(before_name);
  format.before_arguments = kBehindName;
  return format;
}

// <function=NAME>{...}</function>
CallFormat FunctionFormat() {
  CallFormat format;
  format.shape = CallFormat::Shape::kNamed;
  format.call_open = {"<function="};
  format.after_name = {">"};
  format.call_close = {"</function>"};
  format.before_name = "<function=";
  format.before_arguments = ">";
  return format;
}

CallFormat TaggedFunctionFormat() {
  CallFormat format;
  format.shape = CallFormat::Shape::kTagged;
  format.call_open = {"<tool_call>", "<function="};
  format.after_name = {">"};
  format.argument_open = {"<parameter="};
  format.argument_value = {">"};
  format.argument_close = {"</parameter>"};
  format.call_close = {"</function>", "</tool_call>"};
  format.value_lines = true;
  format.before_name = "<tool_call>\n<function=";
  format.before_arguments = ">\n";
  return format;
}

// [TOOL_CALLS]NAME[ARGS]{...}
CallFormat ArgsFormat() {
  CallFormat format;
  format.shape = CallFormat::Shape::kNamed;
  format.call_open = {"[TOOL_CALLS]"};
  format.after_name = {"[ARGS]"};
  format.before_name = "[TOOL_CALLS]";
  format.before_arguments = "[ARGS]";
  return format;
}

bool Mentions(std::string_view text, std::string_view mark) {
  return text.find(mark) != std::string_view::npos;
}

}  // namespace

std::vector<CallFormat> FormatsNamedIn(std::string_view text) {
  std::vector<CallFormat> out;
  if (Mentions(text, "<parameter=") && Mentions(text, "<function="))
    out.push_back(TaggedFunctionFormat());
  else if (Mentions(text, "<tool_call>"))
    out.push_back(ObjectFormat({"<tool_call>"}, {"</tool_call>"}, "<tool_call>\n{\"name\": \""));
  else if (Mentions(text, "<function="))
    out.push_back(FunctionFormat());
  // Granite 3; and Phi-4-mini, which is told of its tools between <|tool|> and <|/tool|>.
  if (Mentions(text, "<|tool_call|>") || Mentions(text, "<|tool|>"))
    out.push_back(ListFormat({"<|tool_call|>"}, {"<|/tool_call|>"}, R"(<|tool_call|>[{"name": ")"));
  if (Mentions(text, "functools") || Mentions(text, "<|tool|>"))
    out.push_back(ListFormat({"functools"}, {}, R"(functools[{"name": ")"));
  if (Mentions(text, "<TOOLCALL>"))
    out.push_back(ListFormat({"<TOOLCALL>"}, {"</TOOLCALL>"}, R"(<TOOLCALL>[{"name": ")"));
  if (Mentions(text, "[TOOL_CALLS]")) {
    out.push_back(ListFormat({"[TOOL_CALLS]"}, {}, R"([TOOL_CALLS][{"name": ")"));
    out.push_back(ArgsFormat());
  }
  return out;
}

std::vector<CallFormat> FurtherFormats(std::string_view jinja, const CallFormat& own) {
  std::vector<CallFormat> out;
  if (Mentions(jinja, "<|python_tag|>")) out.push_back(ObjectFormat({"<|python_tag|>"}, {}, ""));
  const auto opens = [&](const char* mark) {
    return std::ranges::find(own.call_open, mark) != own.call_open.end() ||
           std::ranges::find(own.section_open, mark) != own.section_open.end();
  };
  if (Mentions(jinja, "<function=") && !opens("<function=")) out.push_back(FunctionFormat());
  if (opens("[TOOL_CALLS]") && own.shape == CallFormat::Shape::kNamed)
    out.push_back(ListFormat({"[TOOL_CALLS]"}, {}, ""));
  if (opens("[TOOL_CALLS]") && own.shape == CallFormat::Shape::kObject) out.push_back(ArgsFormat());
  return out;
}

}  // namespace retort
