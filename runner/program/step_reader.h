// SPDX-License-Identifier: Apache-2.0
// Reads the steps of a program. All throw ApiError 400 with the place of what is wrong.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "runner/api/error.h"
#include "runner/program/program.h"

namespace retort {

// What a program has come to so far, all branches together.
struct ProgramWork {
  int64_t context = 0;  // the most tokens of an answer
  int64_t steps = 0, branches = 0, choices = 0, tokens = 0, references = 0;
};

// Where steps stand: in the program, or in a branch.
struct ProgramScope {
  ProgramWork& work;
  const ProgramScope* outer = nullptr;  // whose names texts may have too; null: the program's own
  int64_t times = 1;                    // in so many branches
  int depth = 0;                        // of branches within branches
  std::set<std::string> names = {};     // what a branch has made is "checks.0.verdict"
  std::map<std::string, size_t> branch_steps = {};  // by name: how many branches

  bool Knows(const std::string& name) const;
  // 0: there is no such step.
  size_t BranchesOf(const std::string& name) const;
  bool IsTaken(const std::string& name) const { return Knows(name) || BranchesOf(name) > 0; }
};

// "'WHERE' WHAT"
ApiError WrongStep(const std::string& where, const std::string& what);
// Adds to what the program has come to. Throws at more than `most`: "'WHERE' brings the program's
// WHAT to 1025, all branches together; it may have 1024".
void CountWork(const std::string& where, const char* what, int64_t more, int64_t most,
               int64_t& count);
void CheckStepMembers(const Json& object, const std::vector<std::string>& known,
                      const std::string& where);

std::string ReadText(const Json& value, const std::string& where);
std::string ReadVariableName(const Json& value, const std::string& where);
// A text that is made so many times in each branch, and whose names are not checked.
TextTemplate ReadTemplate(const Json& value, const std::string& where, const ProgramScope& scope,
                          int64_t times = 1);
// That the scope knows the text's names, behind `begin` or alone.
void CheckNames(const TextTemplate& text, const std::string& where, const ProgramScope& scope,
                const std::string& begin = "");

// Adds to the scope what the steps make.
ProgramSteps ReadSteps(const Json& list, const std::string& where, ProgramScope& scope);
// The object is one with the member that names the step's kind, and the step's name is read.
void ReadBranchStep(const Json& object, ProgramStep& step, ProgramScope& scope);
void ReadGatherStep(const Json& object, ProgramStep& step, const ProgramScope& scope);

}  // namespace retort
