// SPDX-License-Identifier: Apache-2.0
#include "runner/program/step_error.h"

#include "base/strings.h"

namespace retort {

StepError::StepError(const ProgramStep& step, const ApiError& error)
    : ApiError(error.status, Cat("'", step.where, "': ", error.what()), step.where, error.code) {}

void InStep(const ProgramStep& step, const std::function<void()>& work) {
  try {
    work();
  } catch (const StepError&) {
    throw;
  } catch (const std::exception& e) {
    throw StepError(step, ApiErrorOf(e));
  }
}

}  // namespace retort
