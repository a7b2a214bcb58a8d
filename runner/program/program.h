// SPDX-License-Identifier: Apache-2.0
// A program of a request: steps that build one text, some of which the model says or chooses.
// docs/serving.md says how it is written.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runner/api/error.h"
#include "runner/api/request.h"
#include "runner/program/text_template.h"

namespace retort {

using ProgramVariables = std::map<std::string, std::string>;

struct ProgramStep;
using ProgramSteps = std::vector<ProgramStep>;

// Steps that begin where the text stands, beside other branches.
struct ProgramBranch {
  ProgramVariables variables;
  std::shared_ptr<const ProgramSteps> steps;  // which branches of one kind share
};

struct ProgramStep {
  enum class Kind { kText, kGenerate, kSelect, kBranch, kGather };

  Kind kind = Kind::kText;
  std::string where;    // "steps[2]", for errors
  std::string name;     // of what it makes, or gathers
  TextTemplate text;    // kText; kGather: for each branch
  ApiRequest generate;  // kGenerate: a completion's, without its prompt
  bool own_seed = false;
  std::vector<std::string> choices;     // kSelect
  std::string suffix;                   // kSelect: what follows each choice
  std::vector<ProgramBranch> branches;  // kBranch
  size_t gathered = 0;                  // kGather: how many branches
};

struct Program {
  std::optional<std::string> model;
  ApiRequest chat;      // how the text begins: a conversation, if it has messages
  TextTemplate prompt;  // or a text
  bool is_chat = false;
  uint64_t seed = 0;
  ProgramVariables variables;
  ProgramSteps steps;
};

// What a program may be, all branches together.
inline constexpr int64_t kMostProgramSteps = 1024;
inline constexpr int64_t kMostProgramBranches = 64;
inline constexpr int64_t kMostProgramChoices = 1024;
inline constexpr int64_t kMostProgramTokens = 1 << 16;      // that it may generate
inline constexpr int64_t kMostProgramReferences = 1 << 16;  // of its texts to variables
inline constexpr int64_t kMostProgramVariables = 256;       // that are given, to it or to a branch
inline constexpr int kMostProgramDepth = 8;                 // of branches within branches

// Throws ApiError 400, which names the step. context: the most tokens of a text.
Program ReadProgram(const std::string& body, uint64_t random_seed, int64_t context);

}  // namespace retort
