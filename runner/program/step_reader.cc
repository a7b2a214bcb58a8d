// SPDX-License-Identifier: Apache-2.0
#include "runner/program/step_reader.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "base/text.h"
#include "runner/api/fields.h"
#include "runner/api/openai/request.h"
#include "runner/api/request.h"

namespace retort {
namespace {

constexpr int64_t kMostSelectable = 128;

// The fields are those of a completion.
void ReadGenerate(const Json& object, ProgramStep& step, const ProgramScope& scope) {
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
  ProgramWork& work = scope.work;
  const int64_t tokens = std::min(step.generate.sampling.max_tokens, work.context);
  CountWork(step.where, "tokens of 'max_tokens'", scope.times * tokens, kMostProgramTokens,
            work.tokens);
}

void ReadSelect(const Json& object, ProgramStep& step, const ProgramScope& scope) {
  CheckStepMembers(object, {"select", "choices", "suffix"}, step.where);
  const std::string where = step.where + ".choices";
  const Json& choices = MemberOf(object, "choices");
  if (!choices.is_array() || choices.empty() || std::ssize(choices) > kMostSelectable)
    throw WrongStep(where, Cat("must be a list of 1 to ", kMostSelectable, " texts"));
  CountWork(step.where, "choices", scope.times * std::ssize(choices), kMostProgramChoices,
            scope.work.choices);
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

// The names that a text may have, without `begin`.
std::vector<std::string> KnownNames(const ProgramScope& scope, const std::string& begin) {
  std::vector<std::string> known;
  for (const ProgramScope* at = &scope; at; at = at->outer) {
    known.reserve(known.size() + at->names.size());
    for (const std::string& name : at->names)
      known.push_back(StartsWith(name, begin) ? name.substr(begin.size()) : name);
  }
  return known;
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
  CountWork(where, "steps", scope.times, kMostProgramSteps, scope.work.steps);
  ProgramStep step;
  step.kind = kind->second;
  step.where = where;
  if (step.kind == Kind::kText) {
    CheckStepMembers(object, {"text"}, where);
    const std::string member = Cat(where, ".text");
    step.text = ReadTemplate(object["text"], member, scope);
    CheckNames(step.text, member, scope);
    return step;
  }
  const std::string member = Cat(where, ".", kind->first);
  step.name = ReadVariableName(object[kind->first], member);
  if (step.kind == Kind::kGather) {
    ReadGatherStep(object, step, scope);
    return step;
  }
  if (scope.IsTaken(step.name))
    throw WrongStep(member, Cat("is '", step.name, "', which is taken; give it another name"));
  if (step.kind == Kind::kBranch) {
    ReadBranchStep(object, step, scope);
    return step;
  }
  step.kind == Kind::kGenerate ? ReadGenerate(object, step, scope)
                               : ReadSelect(object, step, scope);
  scope.names.insert(step.name);
  return step;
}

}  // namespace

bool ProgramScope::Knows(const std::string& name) const {
  return names.contains(name) || (outer && outer->Knows(name));
}

size_t ProgramScope::BranchesOf(const std::string& name) const {
  const auto step = branch_steps.find(name);
  if (step != branch_steps.end()) return step->second;
  return outer ? outer->BranchesOf(name) : 0;
}

ApiError WrongStep(const std::string& where, const std::string& what) {
  return ApiError(400, Cat("'", where, "' ", what), where, "invalid_value");
}

void CountWork(const std::string& where, const char* what, int64_t more, int64_t most,
               int64_t& count) {
  count += more;
  if (count <= most) return;
  throw WrongStep(where, Cat("brings the program's ", what, " to ", count,
                             ", all branches together; it may have ", most));
}

std::string ReadText(const Json& value, const std::string& where) {
  if (!value.is_string()) throw WrongStep(where, "must be a text");
  return value.get<std::string>();
}

TextTemplate ReadTemplate(const Json& value, const std::string& where, const ProgramScope& scope,
                          int64_t times) {
  TextTemplate text;
  const std::string given = ReadText(value, where);
  try {
    text = TextTemplate(given);
  } catch (const Error& e) {
    throw WrongStep(where, Cat("is no text with variables: ", e.what()));
  }
  CountWork(where, "references to variables", times * scope.times * text.references(),
            kMostProgramReferences, scope.work.references);
  return text;
}

void CheckNames(const TextTemplate& text, const std::string& where, const ProgramScope& scope,
                const std::string& begin) {
  for (const std::string& name : text.Names()) {
    if (scope.Knows(begin + name) || scope.Knows(name)) continue;
    const std::string near = Nearest(name, KnownNames(scope, begin));
    throw WrongStep(where, Cat("names '", Shortened(name), "', which no step before has made",
                               near.empty() ? "" : Cat("; did you mean '", near, "'?")));
  }
}

std::string ReadVariableName(const Json& value, const std::string& where) {
  std::string name = ReadText(value, where);
  if (!IsVariableName(name))
    throw WrongStep(where,
                    "must be a name of up to 64 letters, digits and '_' that begins with no digit");
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
