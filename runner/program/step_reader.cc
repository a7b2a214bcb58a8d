// SPDX-License-Identifier: Apache-2.0
#include "runner/program/step_reader.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "base/text.h"
#include "runner/http_message.h"
#include "runner/openai_fields.h"

namespace retort {
namespace {

constexpr int64_t kMostSelectable = 128;

// The fields are those of a completion.
void ReadGenerate(const Json& object, ProgramStep& step) {
  constexpr const char* kOfRequests[] = {"prompt", "model", "stream",  "stream_options",
                                         "n",      "echo",  "best_of", "logprobs"};
  Json completion = object;
  completion.erase("generate");
  for (const char* name : kOfRequests) {
    if (completion.contains(name))
      throw WrongStep(Cat(step.where, ".", name), "is no field of a step");
  }
  completion["prompt"] = step.name;  // another takes its place
  step.own_seed = !MemberOf(object, "seed").is_null();
  try {
    step.generate = ReadApiObject(ApiKind::kCompletion, completion, 0);
  } catch (const ApiError& e) {
    throw ApiError(e.status, Cat("'", step.where, "': ", e.what()),
                   Cat(step.where, e.param.empty() ? "" : ".", e.param), e.code);
  }
  step.generate.prompts.clear();
}

void ReadSelect(const Json& object, ProgramStep& step) {
  CheckStepMembers(object, {"select", "choices", "suffix"}, step.where);
  const std::string where = step.where + ".choices";
  const Json& choices = MemberOf(object, "choices");
  if (!choices.is_array() || choices.empty() || std::ssize(choices) > kMostSelectable)
    throw WrongStep(where, Cat("must be a list of 1 to ", kMostSelectable, " texts"));
  step.choices.reserve(choices.size());
  for (const Json& choice : choices) {
    step.choices.push_back(ReadText(choice, where));
    if (step.choices.back().empty()) throw WrongStep(where, "must hold texts that are not empty");
    if (std::ranges::count(step.choices, step.choices.back()) > 1)
      throw WrongStep(where, Cat("has ", Quoted(step.choices.back()), " twice"));
  }
  const Json& suffix = MemberOf(object, "suffix");
  if (!suffix.is_null()) step.suffix = ReadText(suffix, step.where + ".suffix");
}

bool IsTaken(const std::string& name, const ProgramScope& scope) {
  const auto branch = scope.names.lower_bound(name + ".");
  return scope.names.contains(name) ||
         (branch != scope.names.end() && StartsWith(*branch, name + "."));
}

ProgramStep ReadStep(const Json& object, const std::string& where, ProgramScope& scope) {
  using Kind = ProgramStep::Kind;
  constexpr std::pair<const char*, Kind> kKinds[] = {{"generate", Kind::kGenerate},
                                                     {"select", Kind::kSelect},
                                                     {"branch", Kind::kBranch},
                                                     {"gather", Kind::kGather},
                                                     {"text", Kind::kText}};
  const auto is = [&](const auto& kind) {
    return object.is_object() && object.contains(kind.first);
  };
  const auto kind = std::ranges::find_if(kKinds, is);
  if (kind == std::end(kKinds))
    throw WrongStep(where, "must be an object with text, generate, select, branch or gather");
  ProgramStep step;
  step.kind = kind->second;
  step.where = where;
  if (step.kind == Kind::kText) {
    CheckStepMembers(object, {"text"}, where);
    step.text = ReadTemplate(object["text"], Cat(where, ".text"), scope);
    return step;
  }
  const std::string member = Cat(where, ".", kind->first);
  step.name = ReadVariableName(object[kind->first], member);
  if (step.kind == Kind::kGather) {
    ReadGatherStep(object, step, scope);
    return step;
  }
  if (IsTaken(step.name, scope))
    throw WrongStep(member, Cat("is '", step.name, "', which is taken; give it another name"));
  if (step.kind == Kind::kBranch) {
    ReadBranchStep(object, step, scope);
    return step;
  }
  step.kind == Kind::kGenerate ? ReadGenerate(object, step) : ReadSelect(object, step);
  scope.names.insert(step.name);
  return step;
}

}  // namespace

ApiError WrongStep(const std::string& where, const std::string& what) {
  return ApiError(400, Cat("'", where, "' ", what), where, "invalid_value");
}

std::string ReadText(const Json& value, const std::string& where) {
  if (!value.is_string()) throw WrongStep(where, "must be a text");
  return value.get<std::string>();
}

TextTemplate ReadTemplate(const Json& value, const std::string& where, const ProgramScope& scope) {
  TextTemplate text;
  const std::string given = ReadText(value, where);
  try {
    text = TextTemplate(given);
  } catch (const Error& e) {
    throw WrongStep(where, Cat("is no text with variables: ", e.what()));
  }
  for (const std::string& name : text.Names()) {
    if (scope.names.contains(name)) continue;
    const std::string near = Nearest(name, {scope.names.begin(), scope.names.end()});
    throw WrongStep(where, Cat("names '", Shortened(name), "', which no step before has made",
                               near.empty() ? "" : Cat("; did you mean '", near, "'?")));
  }
  return text;
}

std::string ReadVariableName(const Json& value, const std::string& where) {
  const std::string name = ReadText(value, where);
  if (!IsVariableName(name))
    throw WrongStep(where, "must be a name of letters, digits and '_' that begins with no digit");
  return name;
}

void CheckStepMembers(const Json& object, const std::vector<std::string>& known,
                      const std::string& where) {
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    const std::string name = Cat(where, where.empty() ? "" : ".", Shortened(key));
    throw ApiError(400, Cat("'", name, "' is not supported; there are ", Join(known, ", ")), name,
                   "unknown_parameter");
  }
}

ProgramSteps ReadSteps(const Json& list, const std::string& where, ProgramScope& scope) {
  if (!list.is_array() || list.empty() || std::ssize(list) > kMostProgramSteps)
    throw WrongStep(where, Cat("must be a list of 1 to ", kMostProgramSteps, " steps"));
  ProgramSteps steps;
  steps.reserve(list.size());
  for (size_t i = 0; i < list.size(); ++i)
    steps.push_back(ReadStep(list[i], Cat(where, "[", i, "]"), scope));
  return steps;
}

}  // namespace retort
