// SPDX-License-Identifier: Apache-2.0
// The fields of a request that say how its tokens are chosen: OpenAI's, and those of vLLM,
// llama.cpp and Ollama, which have the same names wherever they mean the same.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "runner/api/error.h"
#include "runner/engine/sampling/options.h"

namespace retort {

// Tokens of a logit_bias; each is one more thing to do at each step.
inline constexpr size_t kMostBiases = 1024;

// The fields' names, but for those that count tokens.
const std::vector<std::string>& SamplingFields();

// Everything but max_tokens, min_tokens included. Throws ApiError. `random_seed`: the seed where
// the request has none.
SamplingOptions ReadSampling(const Json& object, uint64_t random_seed);

// CheckSampling() with an ApiError that names the field.
void CheckApiSampling(const SamplingOptions& options);

// A field that counts tokens; -1: as many as there is room for.
int64_t TokensField(const Json& object, const std::string& name, int64_t fallback);

}  // namespace retort
