// SPDX-License-Identifier: Apache-2.0
#include "runner/api/error.h"

namespace retort {

ApiError ApiErrorOf(const std::exception& reason) {
  if (const auto* api = dynamic_cast<const ApiError*>(&reason)) return *api;
  const auto* error = dynamic_cast<const Error*>(&reason);
  return ApiError(error && error->kind() == Error::Kind::kInput ? 400 : 500, reason.what());
}

}  // namespace retort
