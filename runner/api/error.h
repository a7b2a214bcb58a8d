// SPDX-License-Identifier: Apache-2.0
// What a client is told of a request that cannot be answered, in no API's own form.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace retort {

// An error in a request. `param` and `code` are the fields that OpenAI's API has for them.
struct ApiError : std::runtime_error {
  ApiError(int http_status, const std::string& message, std::string parameter = "",
           std::string error_code = "")
      : std::runtime_error(message),
        status(http_status),
        param(std::move(parameter)),
        code(std::move(error_code)) {}

  int status;
  std::string param, code;                                   // empty: null in the answer
  std::vector<std::pair<std::string, std::string>> headers;  // of the answer, beside the usual ones
};

// What a client is told of it: an ApiError as it is, status 400 for what is wrong with the input,
// else 500.
ApiError ApiErrorOf(const std::exception& reason);

// What `work` returns. For input errors of it, throws what `refusal` makes of the message.
template <class Refusal, class Work>
auto WithInputErrorsAs(const Refusal& refusal, const Work& work) {
  try {
    return work();
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::kInput) throw;
    throw refusal(e.what());
  }
}

// The same with status 400 that names this member of the request.
template <class Work>
auto AsRequestError(const std::string& param, const Work& work) {
  return WithInputErrorsAs(
      [&param](const std::string& what) { return ApiError(400, what, param, "invalid_value"); },
      work);
}

}  // namespace retort
