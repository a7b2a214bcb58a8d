// SPDX-License-Identifier: Apache-2.0
// What a client is told of a request that cannot be answered, in no API's own form.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

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

}  // namespace retort
