// SPDX-License-Identifier: Apache-2.0
// The bodies of OpenAI's chat and completion requests, read and checked.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "runner/sampler.h"
#include "template/chat_template.h"

namespace retort {

// What is wrong with a request, as OpenAI's API says it.
struct ApiError : std::runtime_error {
  ApiError(int http_status, const std::string& message, std::string parameter = "",
           std::string error_code = "")
      : std::runtime_error(message),
        status(http_status),
        param(std::move(parameter)),
        code(std::move(error_code)) {}

  int status;
  std::string param, code;  // empty: null in the answer
};

enum class ApiKind { kChat, kCompletion };

struct ApiRequest {
  ApiKind kind = ApiKind::kChat;
  std::vector<Message> messages;  // chat
  std::string prompt;             // completion: text, or ids
  std::vector<int32_t> prompt_ids;
  SamplingOptions sampling;
  bool stream = false, include_usage = false;
};

inline constexpr int64_t kChatMaxTokens = 1024,
                         kCompletionMaxTokens = 16;  // where the request names none

// Parameters that are absent or null take their defaults: temperature 0, as in `retort run`. Those
// that would change the answer in a way that is not to be had are refused by name; `random_seed` is
// the seed where none is given. Throws ApiError.
ApiRequest ReadApiRequest(ApiKind kind, const std::string& body, uint64_t random_seed);

}  // namespace retort
