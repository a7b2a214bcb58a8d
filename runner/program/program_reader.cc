// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/text.h"
#include "runner/api/fields.h"
#include "runner/api/openai/request.h"
#include "runner/api/request.h"
#include "runner/program/step_reader.h"

namespace retort {
namespace {

ProgramVariables ReadVariables(const Json& object) {
  ProgramVariables variables;
  if (object.is_null()) return variables;
  if (!object.is_object() || std::ssize(object) > kMostProgramVariables)
    throw WrongStep("variables",
                    Cat("must be an object of at most ", kMostProgramVariables, " texts"));
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
    CheckNames(program.prompt, "prompt", scope);
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
  ProgramWork work{.context = context};
  ProgramScope scope{work};
  for (const auto& [name, value] : program.variables) scope.names.insert(name);
  ReadBeginning(object, scope, program);
  program.steps = ReadSteps(MemberOf(object, "steps"), "steps", scope);
  return program;
}

}  // namespace retort
