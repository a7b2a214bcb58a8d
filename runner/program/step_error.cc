// SPDX-License-Identifier: Apache-2.0
#include "runner/program/step_error.h"

#include "base/error.h"
#include "base/strings.h"

namespace retort {

StepError::StepError(const ProgramStep& step, const ApiError& error)
    : ApiError(error.status, Cat("'", step.where, "': ", error.what()), step.where, error.code) {}

ApiError ErrorOf(const std::exception& reason) {
  if (const auto* api = dynamic_cast<const ApiError*>(&reason)) return *api;
  const auto* error = dynamic_cast<const Error*>(&reason);
  return ApiError(error && error->kind() == Error::Kind::kInput ? 400 : 500, reason.what());
}

void InStep(const ProgramStep& step, const std::function<void()>& work) {
  try {
    work();
  } catch (const StepError&) {
    throw;
  } catch (const std::exception& e) {
    throw StepError(step, ErrorOf(e));
  }
}

}  // namespace retort
