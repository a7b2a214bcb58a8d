// SPDX-License-Identifier: Apache-2.0
// The fields of a request that say what its answer may be.
#pragma once

#include "base/json.h"
#include "runner/api/error.h"
#include "runner/api/request.h"

namespace retort {

// Sets `grammar` and `grammar_field`: OpenAI's "response_format", vLLM's "guided_json" and others
// and "structured_outputs", llama.cpp's "grammar". A response format of type text sets the field
// alone. Throws ApiError if a value is wrong, if there
// are several, or beside tools that the model may call.
void ReadGrammar(const Json& object, ApiRequest& request);

}  // namespace retort
