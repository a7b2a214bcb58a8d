// SPDX-License-Identifier: Apache-2.0
// retort_judge_chat < CASES: renders Jinja texts. Each line is {"template": FILE, "variables": {...}}, or has the text
// itself as "source"; the answer is {"text": ...} or {"error": ...} on one line. With "pieces": true, a conversation's
// parts as training sees them: {"pieces": [[TEXT, whether it carries loss], ...], "bos": bool}; "eos": the end token,
// "tokens": further tokens of the model.
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "template/chat_template.h"
#include "template/jinja/call.h"
#include "template/jinja/json_values.h"
#include "template/jinja/program.h"

namespace retort {
namespace {

const jinja::Program& Compiled(const std::string& path) {
  static std::map<std::string, jinja::Program> programs;
  auto found = programs.find(path);
  if (found == programs.end())
    found = programs.emplace(path, jinja::Program::Compile(ReadText(path), "judge")).first;
  return found->second;
}

// The clock stands at the day that tests/judges/templates.py sets it to.
std::string Rendered(const Json& test) {
  jinja::Variables variables = {{"strftime_now", jinja::FixedClock("2024-07-26")}};
  const Json& given = test["variables"];
  for (const auto& [name, value] : given.items())
    variables.emplace_back(name, jinja::FromJson(value, jinja::kInput, true, "judge"));
  const jinja::Program program =
      test.contains("source") ? jinja::Program::Compile(test["source"].get<std::string>(), "judge")
                              : Compiled(test["template"]);
  return program.Render(variables, DumpJson(given).size(), "judge").bytes();
}

Conversation ConversationOf(const Json& variables) {
  Conversation out;
  for (const Json& m : variables["messages"]) {
    Json more = m;
    more.erase("role");
    const bool text = m.contains("content") && m["content"].is_string();
    if (text) more.erase("content");
    out.messages.push_back({m["role"], text ? m["content"].get<std::string>() : "", true,
                            more.empty() ? "" : DumpJson(more)});
  }
  if (variables.contains("enable_thinking"))
    out.variables = DumpJson(Json{{"enable_thinking", variables["enable_thinking"]}});
  if (variables.contains("tools") && !variables["tools"].is_null())
    out.tools = DumpJson(variables["tools"]);
  return out;
}

Json Pieces(const Json& test) {
  TokenizerSpec spec;
  spec.pieces = {{"<s>"}, {test.value("eos", "</s>")}};
  spec.bos = 0, spec.eos = 1;
  for (const Json& token : test.value("tokens", Json::array())) spec.pieces.push_back({token});
  const std::string path = test["template"];
  const RenderedChat chat = ChatTemplate::Own(ReadText(path), path)
                                .Render(ConversationOf(test["variables"]), false, spec, "judge");
  Json pieces = Json::array();
  for (const ChatPiece& piece : chat.pieces) {
    std::string text;
    for (const Segment& segment : piece.segments) text += segment.text;
    pieces.push_back({text, piece.reply});
  }
  return {{"pieces", pieces}, {"bos", chat.bos}};
}

Json Answer(const std::string& line) {
  try {
    const Json test = ParseJson(line, "judge", false, RepeatedKeys::kLast);
    if (test.contains("pieces")) return Pieces(test);
    return {{"text", Rendered(test)}};
  } catch (const Error& e) {
    return {{"error", e.what()}};
  }
}

int Main() {
  for (std::string line; std::getline(std::cin, line);) std::cout << DumpJson(Answer(line)) << "\n";
  return 0;
}

}  // namespace
}  // namespace retort

int main() {
  try {
    return retort::Main();
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n";
    return 1;
  }
}
