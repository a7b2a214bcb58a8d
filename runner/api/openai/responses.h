// SPDX-License-Identifier: Apache-2.0
// OpenAI's responses API, as far as it is about texts: no tools, and nothing is stored.
#pragma once

#include <memory>
#include <string>

#include "runner/api/answer.h"
#include "runner/api/error.h"
#include "runner/api/request.h"

namespace retort {

struct ResponsesRequest {
  ApiRequest request;
  std::string echoed;  // a JSON object: the members of the answer that repeat the request
};

// Throws ApiError, naming what is not supported.
ResponsesRequest ReadResponsesRequest(const std::string& body, uint64_t random_seed);

std::unique_ptr<AnswerWriter> ResponsesWriter(const ApiAnswerHead& head,
                                              const ResponsesRequest& read);

}  // namespace retort
