// SPDX-License-Identifier: Apache-2.0
// retort_judge_chat < CASES: renders Jinja texts. Each line is {"template": FILE, "variables": {...}}, or has the text
// itself as "source"; the answer is {"text": ...} or {"error": ...} on one line.
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
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

// The clock stands at the day that tests/judges/template_test.py sets it to.
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

Json Answer(const std::string& line) {
  try {
    return {{"text", Rendered(ParseJson(line, "judge", false, RepeatedKeys::kLast))}};
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
