// SPDX-License-Identifier: Apache-2.0
// Ollama's API: /api/generate and /api/chat.
#pragma once

#include <memory>
#include <string>

#include "runner/api/answer.h"
#include "runner/api/error.h"
#include "runner/api/request.h"

namespace retort {

enum class OllamaKind { kGenerate, kChat };

// Throws ApiError, naming what is not supported. Both stream unless the body says otherwise.
ApiRequest ReadOllamaRequest(OllamaKind kind, const std::string& body, uint64_t random_seed);

// Lines of JSON, in a stream; the last one has the counts and times.
std::unique_ptr<AnswerWriter> OllamaWriter(OllamaKind kind, const ApiAnswerHead& head);

// The name without ":latest", which Ollama's clients put behind names.
std::string OllamaModelName(const std::string& name);

// {"error": TEXT}
std::string OllamaErrorBody(const ApiError& error);

}  // namespace retort
