// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/text.h"
#include "runner/api/fields.h"
#include "runner/program/step_reader.h"

namespace retort {
namespace {

constexpr int64_t kMostBranches = kMostProgramBranches;

// One branch for each value of its variables.
void ReadEach(const Json& each, ProgramStep& step, const ProgramScope& scope) {
  const std::string where = step.where + ".each";
  if (!each.is_object() || each.empty())
    throw WrongStep(where, "must be an object of lists, one for each variable");
  if (std::ssize(each) > kMostProgramVariables)
    throw WrongStep(where, Cat("must have at most ", kMostProgramVariables, " variables"));
  for (const auto& [name, values] : each.items()) {
    const std::string of = Cat(where, ".", Shortened(name));
    if (!IsVariableName(name)) throw WrongStep(of, "is no name of a variable");
    if (scope.IsTaken(name)) throw WrongStep(of, "is taken; give it another name");
    if (!values.is_array() || values.empty() || std::ssize(values) > kMostBranches)
      throw WrongStep(of, Cat("must be a list of 1 to ", kMostBranches, " texts"));
    if (step.branches.empty()) step.branches.resize(values.size());
    if (values.size() != step.branches.size())
      throw WrongStep(
          of, Cat("has ", values.size(), " texts, and another list has ", step.branches.size()));
    for (size_t i = 0; i < values.size(); ++i)
      step.branches[i].variables[name] = ReadText(values[i], of);
  }
}

// As many branches as there are, of the same steps or not, without their steps.
void ReadBranchCount(const Json& object, ProgramStep& step, const ProgramScope& scope) {
  const Json& lists = MemberOf(object, "branches");
  const Json& each = MemberOf(object, "each");
  const bool counted = !MemberOf(object, "count").is_null();
  if (MemberOf(object, "steps").is_null() == lists.is_null() ||
      (each.is_null() ? 0 : 1) + (counted ? 1 : 0) + (lists.is_null() ? 0 : 1) != 1)
    throw WrongStep(step.where, "needs 'branches', or 'steps' with either 'each' or 'count'");
  if (!each.is_null()) {
    ReadEach(each, step, scope);
  } else if (counted) {
    const int64_t count = IntegerField(object, "count", 0);
    if (count < 1 || count > kMostBranches)
      throw WrongStep(step.where + ".count", Cat("must be within 1 and ", kMostBranches));
    step.branches.resize(static_cast<size_t>(count));
  } else {
    if (!lists.is_array() || lists.empty() || std::ssize(lists) > kMostBranches)
      throw WrongStep(step.where + ".branches",
                      Cat("must be a list of 1 to ", kMostBranches, " lists of steps"));
    step.branches.resize(lists.size());
  }
  CountWork(step.where, "branches", scope.times * std::ssize(step.branches), kMostBranches,
            scope.work.branches);
}

}  // namespace

void ReadBranchStep(const Json& object, ProgramStep& step, ProgramScope& scope) {
  CheckStepMembers(object, {"branch", "branches", "steps", "each", "count"}, step.where);
  ReadBranchCount(object, step, scope);
  const Json& lists = MemberOf(object, "branches");
  const bool same = lists.is_null();
  std::set<std::string> own;  // what a branch makes
  std::set<std::string> made;
  for (size_t i = 0; i < step.branches.size(); ++i) {
    ProgramBranch& branch = step.branches[i];
    if (same && i > 0) {
      branch.steps = step.branches.front().steps;
    } else {
      ProgramScope inner{scope.work, &scope, scope.times * (same ? std::ssize(step.branches) : 1),
                         scope.depth + 1};
      if (inner.depth > kMostProgramDepth)
        throw WrongStep(step.where,
                        Cat("is a branch within ", scope.depth, " others, which is too deep"));
      for (const auto& [name, value] : branch.variables) inner.names.insert(name);
      branch.steps = std::make_shared<ProgramSteps>(
          same ? ReadSteps(object["steps"], step.where + ".steps", inner)
               : ReadSteps(lists[i], Cat(step.where, ".branches[", i, "]"), inner));
      own = std::move(inner.names);
    }
    for (const std::string& name : own) made.insert(Cat(step.name, ".", i, ".", name));
  }
  scope.names.merge(made);
  scope.branch_steps[step.name] = step.branches.size();
}

void ReadGatherStep(const Json& object, ProgramStep& step, const ProgramScope& scope) {
  CheckStepMembers(object, {"gather", "text"}, step.where);
  step.gathered = scope.BranchesOf(step.name);
  if (step.gathered == 0)
    throw WrongStep(step.where + ".gather",
                    Cat("is '", step.name, "', and no branch step before it has that name"));
  const std::string where = step.where + ".text";
  step.text =
      ReadTemplate(MemberOf(object, "text"), where, scope, static_cast<int64_t>(step.gathered));
  for (size_t i = 0; i < step.gathered; ++i)
    CheckNames(step.text, where, scope, Cat(step.name, ".", i, "."));
}

}  // namespace retort
