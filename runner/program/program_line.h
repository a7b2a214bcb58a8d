// SPDX-License-Identifier: Apache-2.0
// A program under way: how far each of its branches has come, and what it has asked of the engine.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "runner/api_answer.h"
#include "runner/program/program.h"
#include "runner/program/selection.h"

namespace retort {

// One request to the engine. It is written on the engine's thread until it has ended.
struct ProgramPiece {
  const ProgramStep* step;
  GenerationRequest request;
  std::function<void(const ProgramPiece& piece)> then;
  ApiChoice told;
  std::vector<int32_t> ids = {};
  std::vector<double> scores = {};

  void Take(const GenerationEvent& event);
};

// The program's steps, or those of a branch, as far as they have come.
struct ProgramLine {
  const ProgramSteps* steps = nullptr;
  size_t next = 0;
  const ProgramLine* outer =
      nullptr;          // whose variables it can name too; null: the program's own line
  uint64_t number = 0;  // of the branch, for seeds; 0: the program's own line
  std::vector<int32_t> ids = {};
  std::string text = {};            // what its steps have added
  ProgramVariables variables = {};  // that they have made; branches' as "checks.0.verdict"
  std::vector<Json> told = {};      // of its steps
  std::function<void()> then = {};  // behind its last step
  // Of the step that it is at.
  std::vector<std::unique_ptr<ProgramLine>> branches = {};
  std::vector<std::vector<int32_t>> labels = {};
  std::optional<Selection> selection = {};
  size_t left = 0;  // branches or streams that have not ended
};

// Throws ApiError 400 if the tokens of one are the beginning of another's: it could never be less
// likely.
void CheckNoneBeginsAnother(const std::vector<std::vector<int32_t>>& labels,
                            const std::vector<std::string>& choices);

// How likely each choice is among them: exp(x) over the sum.
std::vector<double> SharesOf(const std::vector<double>& logprobs);

// What is told of a step.
Json SaidJson(const ProgramStep& step, const ApiChoice& said);
Json ChosenJson(const ProgramStep& step, const std::vector<double>& logprobs, size_t best);
Json JoinedJson(const ProgramStep& step, const std::vector<std::unique_ptr<ProgramLine>>& branches);

}  // namespace retort
