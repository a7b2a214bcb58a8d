// SPDX-License-Identifier: Apache-2.0
// Reads and checks the bodies of OpenAI's chat and completion requests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "runner/api/error.h"
#include "runner/api/request.h"

namespace retort {

// Default max_tokens.
inline constexpr int64_t kChatMaxTokens = 1024, kCompletionMaxTokens = 16;

// The object that a body is. Throws ApiError.
Json ReadApiBody(const std::string& body);

// The value of "prompt" or "input": a text, a list of token ids, or a list of such. Throws
// ApiError.
std::vector<ApiPrompt> ReadPrompts(const Json& value, const std::string& name);

// Parameters that are absent or null take their defaults, for example temperature 0, as in `retort
// run`, and `random_seed` as the seed. Throws ApiError. Parameters that would change the answer in
// an unsupported way are rejected by name.
ApiRequest ReadApiRequest(ApiKind kind, const std::string& body, uint64_t random_seed);
ApiRequest ReadApiObject(ApiKind kind, const Json& object, uint64_t random_seed);

}  // namespace retort
