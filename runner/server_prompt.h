// SPDX-License-Identifier: Apache-2.0
// A request's prompt as token ids that fit the model.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runner/openai_request.h"
#include "runner/server.h"

namespace retort {

class PromptReader {
 public:
  // Both must outlive it. context: maximum tokens of a request, including its answer.
  PromptReader(const ServedModel& model, int64_t context) : model_(model), context_(context) {}
  // Throws ApiError 400 if the prompt is empty, too long, or not within the vocabulary. Texts that
  // cannot fit are not tokenised to their end (Tokenizer::EncodeAtMost). Thread-safe.
  std::vector<int32_t> Read(const ApiRequest& request) const;

 private:
  // nullopt: far more tokens than the context holds.
  std::optional<std::vector<int32_t>> Encode(const ApiRequest& request) const;

  const ServedModel& model_;
  int64_t context_;
};

}  // namespace retort
