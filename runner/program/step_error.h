// SPDX-License-Identifier: Apache-2.0
// Errors of a program, which name the step that they come from.
#pragma once

#include <functional>

#include "runner/api/answer.h"
#include "runner/api/error.h"
#include "runner/program/program.h"

namespace retort {

// An error whose text names the step.
struct StepError : ApiError {
  StepError(const ProgramStep& step, const ApiError& error);
};

// Does it, and names the step in what is thrown.
void InStep(const ProgramStep& step, const std::function<void()>& work);

}  // namespace retort
