// SPDX-License-Identifier: Apache-2.0
// Runs a program: its texts, what the model says and chooses in them, and its branches, as many at
// once as there are places for. The pieces are ordinary requests to the engine, whose prompts begin
// alike, so that what they share is read once.
#pragma once

#include <functional>
#include <memory>

#include "runner/api/error.h"
#include "runner/program/program.h"
#include "runner/service/model_service.h"

namespace retort {

struct ProgramJob {
  std::shared_ptr<ModelService> service;  // that answers; kept to the end
  Program program;
  std::shared_ptr<const ServedVariant> variant;  // the one that the program names
  ApiAnswerHead head;
  std::shared_ptr<HttpExchange> exchange;
  std::unique_ptr<ServerPlaces> places;  // one, for the first piece; those beside it take free ones
  std::chrono::steady_clock::time_point since;
  std::function<void(const ReplyOutcome& outcome)> on_end;  // called once
  // Runs what goes on behind a piece on another thread than the engine's.
  std::function<void(std::function<void()> job)> post;
};

// The text that it begins with. Throws ApiError 400 if that is too long.
std::string BeginningText(const Program& program);

// Throws ApiError, and then the exchange has had no answer.
void StartProgram(ProgramJob job);

}  // namespace retort
