// SPDX-License-Identifier: Apache-2.0
// retort_judge_answers < CASES: reads models' answers. Each line is {"template": FILE, "tools": [NAME, ...],
// "texts": [...]}; the answer is {"known": whether the template tells how calls are written, "answers": [...]} on one
// line, each with "content", "thought" and "calls", a list of [NAME, ARGUMENTS]. An answer that is another when it
// arrives byte by byte is an "error".
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "runner/answer/answer_parser.h"
#include "runner/answer/call_probe.h"

namespace retort {
namespace {

Json Shown(const std::vector<AnswerPart>& parts) {
  std::string content, thought;
  Json calls = Json::array();
  for (const AnswerPart& part : parts) {
    if (part.kind == AnswerPart::Kind::kContent) content += part.text;
    if (part.kind == AnswerPart::Kind::kThought) thought += part.text;
    if (part.kind == AnswerPart::Kind::kCall) calls.push_back(Json::array({part.text, ""}));
    if (part.kind == AnswerPart::Kind::kArguments) {
      const std::string more = calls.back()[1].get<std::string>() + part.text;
      calls.back()[1] = more;
    }
  }
  return {{"content", content}, {"thought", thought}, {"calls", calls}};
}

Json Read(const AnswerFormat& format, const std::vector<Tool>& tools, const std::string& text,
          bool whole, size_t piece) {
  AnswerParser::Options options;
  options.calls = true;
  options.whole_calls = whole;
  AnswerParser parser(format, tools, options);
  std::vector<AnswerPart> parts;
  for (size_t at = 0; at < text.size(); at += piece) parser.Push(text.substr(at, piece), parts);
  parser.Finish(parts);
  return Shown(parts);
}

Json Answer(const Json& test) {
  const std::string path = test["template"];
  TokenizerSpec spec;
  spec.pieces = {{"<s>"}, {"</s>"}};
  spec.bos = 0, spec.eos = 1;
  const AnswerFormat format = FindAnswerFormat(ChatTemplate::Own(ReadText(path), path), spec);
  std::vector<Tool> tools;
  for (const Json& name : test["tools"]) tools.push_back({name.get<std::string>()});
  Json answers = Json::array();
  for (const Json& text : test["texts"]) {
    const Json whole = Read(format, tools, text, true, size_t{1} << 30);
    for (const bool calls : {true, false}) {
      const Json other = Read(format, tools, text, calls, 1);
      if (other != whole) return {{"error", Cat(DumpJson(whole), " and ", DumpJson(other))}};
    }
    answers.push_back(whole);
  }
  return {{"known", !format.calls.empty()}, {"answers", answers}};
}

int Main() {
  for (std::string line; std::getline(std::cin, line);) {
    try {
      std::cout << DumpJson(Answer(ParseJson(line, "judge"))) << "\n";
    } catch (const Error& e) {
      std::cout << DumpJson(Json{{"error", e.what()}}) << "\n";
    }
  }
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
