// SPDX-License-Identifier: Apache-2.0
// Reads the steps of a program. All throw ApiError 400 with the place of what is wrong.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "runner/program/program.h"

namespace retort {

// Where steps stand.
struct ProgramScope {
  std::set<std::string> names;  // that texts may name; what a branch makes is "checks.0.verdict"
  int64_t times = 1;            // in so many branches
  int64_t branches = 0;         // of the program, so far
  int depth = 0;                // of branches within branches
};

// "'WHERE' WHAT"
ApiError WrongStep(const std::string& where, const std::string& what);
void CheckStepMembers(const Json& object, const std::vector<std::string>& known,
                      const std::string& where);

std::string ReadText(const Json& value, const std::string& where);
std::string ReadVariableName(const Json& value, const std::string& where);
// A text whose names are within the scope.
TextTemplate ReadTemplate(const Json& value, const std::string& where, const ProgramScope& scope);

// Adds to the scope what the steps make.
ProgramSteps ReadSteps(const Json& list, const std::string& where, ProgramScope& scope);
// The object is one with the member that names the step's kind, and the step's name is read.
void ReadBranchStep(const Json& object, ProgramStep& step, ProgramScope& scope);
void ReadGatherStep(const Json& object, ProgramStep& step, const ProgramScope& scope);

}  // namespace retort
