// SPDX-License-Identifier: Apache-2.0
// A program under way: how far each of its branches has come, and what it has asked of the engine.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "runner/api/answer.h"
#include "runner/api/error.h"
#include "runner/engine/selection.h"
#include "runner/program/program.h"
#include "runner/service/reply.h"

namespace retort {

// One request to the engine, which tells it of events until it has ended.
struct ProgramPiece {
  using Then = std::function<void(const ProgramPiece& piece)>;
  ProgramPiece(const ProgramStep& of, std::function<GenerationRequest()> makes, Then goes_on)
      : step(of), request(std::move(makes)), then(std::move(goes_on)) {}

  const ProgramStep& step;
  const std::function<GenerationRequest()> request;  // made when its turn comes: prompts are long
  const Then then;
  std::unique_ptr<ServerPlaces> place = nullptr;  // one, while it is under way
  ApiChoice told = {};
  std::vector<int32_t> ids = {};
  std::vector<double> scores = {};
  mutable std::mutex mutex;  // of the three until then

  void Take(const GenerationEvent& event);
  // So far.
  ApiChoice Told() const;
};

// The program's steps, or those of a branch, as far as they have come.
struct ProgramLine {
  const ProgramSteps* steps = nullptr;
  size_t next = 0;
  const ProgramLine* outer =
      nullptr;          // whose variables it can name too; null: the program's own line
  uint64_t number = 0;  // of the branch, for seeds; 0: the program's own line
  std::vector<int32_t> ids;
  std::string text;            // what its steps have added
  ProgramVariables variables;  // that they have made; branches' as "checks.0.verdict"
  std::vector<Json> told;      // of its steps
  std::function<void()> then;  // behind its last step
  // Of the step that it is at.
  std::vector<std::unique_ptr<ProgramLine>> branches;
  std::vector<std::vector<int32_t>> labels;
  std::optional<Selection> selection;
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
