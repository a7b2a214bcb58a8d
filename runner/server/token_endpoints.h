// SPDX-License-Identifier: Apache-2.0
// Tokens of texts and conversations, without an answer: /tokenize, /detokenize, /apply-template in
// llama.cpp's and vLLM's forms; Anthropic's count_tokens, and llama.cpp's input_tokens of a chat.
#pragma once

#include <string>

#include "base/json.h"
#include "runner/api/error.h"
#include "runner/service/model_service.h"

namespace retort {

// Each takes a request's body, and throws ApiError, naming what is not supported.
Json Tokenize(const ModelService& service, const std::string& body);
Json Detokenize(const ModelService& service, const std::string& body);
Json ApplyTemplate(const ModelService& service, const std::string& body);
Json CountTokens(const ModelService& service, const std::string& body);
Json CountChatTokens(const ModelService& service, const std::string& body);

}  // namespace retort
