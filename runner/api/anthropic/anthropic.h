// SPDX-License-Identifier: Apache-2.0
// Anthropic's messages API.
#pragma once

#include <memory>
#include <string>

#include "runner/api/answer.h"
#include "runner/api/error.h"
#include "runner/api/request.h"

namespace retort {

// The body of POST /v1/messages; with `counted`, of /v1/messages/count_tokens, which needs no
// 'max_tokens'. Throws ApiError, naming what is not supported.
ApiRequest ReadAnthropicRequest(const std::string& body, uint64_t random_seed, bool counted);

std::unique_ptr<AnswerWriter> AnthropicWriter(const ApiAnswerHead& head);

// {"type": "error", "error": {"type", "message"}}
std::string AnthropicErrorBody(const ApiError& error);

}  // namespace retort
