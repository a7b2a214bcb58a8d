// SPDX-License-Identifier: Apache-2.0
// OpenAI's embeddings API.
#pragma once

#include <memory>
#include <string>

#include "runner/api/answer.h"
#include "runner/api/error.h"
#include "runner/api/request.h"

namespace retort {

struct EmbeddingsRequest {
  ApiRequest request;
  bool base64 = false;     // little-endian f32, as the official clients ask for
  int64_t dimensions = 0;  // the first so many, again of length 1; 0: all
};

// 'pooling' is "mean" (the default) or "last". Throws ApiError.
EmbeddingsRequest ReadEmbeddingsRequest(const std::string& body);

std::unique_ptr<AnswerWriter> EmbeddingsWriter(const ApiAnswerHead& head,
                                               const EmbeddingsRequest& request);

}  // namespace retort
