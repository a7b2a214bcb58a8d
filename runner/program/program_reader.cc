// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "runner/http_message.h"
#include "runner/openai_fields.h"
#include "runner/program/step_reader.h"

namespace retort {
namespace {

constexpr int64_t kMostVariables = 256;
constexpr int64_t kMostWidth = 32;

// What a program does, with each branch by itself.
struct Work {
  int64_t steps = 0, choices = 0, tokens = 0;
  int64_t width = 1;  // pieces at once
};

// context: the most tokens of an answer.
Work WorkOf(const ProgramSteps& steps, int64_t context) {
  Work work;
  for (const ProgramStep& step : steps) {
    ++work.steps;
    int64_t width = std::max<int64_t>(1, std::ssize(step.choices));
    work.choices += std::ssize(step.choices);
    if (step.kind == ProgramStep::Kind::kGenerate)
      work.tokens += std::min(step.generate.sampling.max_tokens, context);
    if (step.kind == ProgramStep::Kind::kBranch) {
      width = 0;
      for (const ProgramBranch& branch : step.branches) {
        const Work own = WorkOf(*branch.steps, context);
        work.steps += own.steps;
        work.choices += own.choices, work.tokens += own.tokens;
        width += own.width;
      }
    }
    work.width = std::max(work.width, width);
  }
  return work;
}

void CheckWork(const Work& work) {
  const auto check = [](const char* what, int64_t count, int64_t most) {
    if (count > most)
      throw WrongStep("steps", Cat("come to ", count, " ", what, "; a program may have ", most));
  };
  check("steps in all branches", work.steps, kMostProgramSteps);
  check("choices", work.choices, kMostProgramChoices);
  check("tokens of 'max_tokens'", work.tokens, kMostProgramTokens);
}

ProgramVariables ReadVariables(const Json& object) {
  ProgramVariables variables;
  if (object.is_null()) return variables;
  if (!object.is_object() || std::ssize(object) > kMostVariables)
    throw WrongStep("variables", Cat("must be an object of at most ", kMostVariables, " texts"));
  for (const auto& [name, value] : object.items()) {
    const std::string where = Cat("variables.", Shortened(name));
    if (!IsVariableName(name)) throw WrongStep(where, "is no name of a variable");
    variables[name] = ReadText(value, where);
  }
  return variables;
}

// A conversation, or a text that may name variables.
void ReadBeginning(const Json& object, const ProgramScope& scope, Program& program) {
  const Json& prompt = MemberOf(object, "prompt");
  program.is_chat = !MemberOf(object, "messages").is_null();
  if (program.is_chat == !prompt.is_null())
    throw WrongStep("prompt", "or 'messages' must say how the text begins; give one of them");
  if (!program.is_chat) {
    program.prompt = ReadTemplate(prompt, "prompt", scope);
    return;
  }
  Json chat = Json::object();
  for (const char* name : {"messages", "chat_template_kwargs"}) {
    if (object.contains(name)) chat[name] = object[name];
  }
  program.chat = ReadApiObject(ApiKind::kChat, chat, 0);
}

}  // namespace

Program ReadProgram(const std::string& body, uint64_t random_seed, int64_t context) {
  const Json object = ReadApiBody(body);
  CheckStepMembers(
      object, {"model", "prompt", "messages", "chat_template_kwargs", "variables", "steps", "seed"},
      "");
  Program program;
  if (const Json& model = MemberOf(object, "model"); !model.is_null())
    program.model = ReadText(model, "model");
  const int64_t seed = IntegerField(object, "seed", -1);
  program.seed = seed < 0 ? random_seed : static_cast<uint64_t>(seed);
  program.variables = ReadVariables(MemberOf(object, "variables"));
  ProgramScope scope;
  for (const auto& [name, value] : program.variables) scope.names.insert(name);
  ReadBeginning(object, scope, program);
  program.steps = ReadSteps(MemberOf(object, "steps"), "steps", scope);
  const Work work = WorkOf(program.steps, context);
  CheckWork(work);
  program.width = std::min(work.width, kMostWidth);
  return program;
}

}  // namespace retort
