// SPDX-License-Identifier: Apache-2.0
// Errors of a program, which name the step that they come from.
#pragma once

#include <exception>
#include <functional>

#include "runner/api/answer.h"
#include "runner/api/error.h"
#include "runner/program/program.h"

namespace retort {

// An error whose text names the step.
struct StepError : ApiError {
  StepError(const ProgramStep& step, const ApiError& error);
};

// What a client is told of it: status 400 for what is wrong with the request, else 500.
ApiError ErrorOf(const std::exception& reason);

// Does it, and names the step in what is thrown.
void InStep(const ProgramStep& step, const std::function<void()>& work);

}  // namespace retort
