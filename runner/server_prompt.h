// SPDX-License-Identifier: Apache-2.0
// A request's prompt as token ids that fit the model.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runner/openai_request.h"
#include "runner/server.h"

namespace retort {

// The bytes of text that `tokens` tokens can stand for at most. Nullopt where a token may stand for
// any number of bytes: where white space is removed or joined, or unknown characters are one token.
std::optional<int64_t> MostTextBytes(const TokenizerSpec& spec, int64_t tokens);

class PromptReader {
 public:
  // Both must outlive it. context: maximum tokens of a request, including its answer.
  PromptReader(const ServedModel& model, int64_t context);
  // Throws ApiError 400 if the prompt is empty, too long, or not within the vocabulary. Texts that
  // cannot fit are refused before they are tokenised. Thread-safe.
  std::vector<int32_t> Read(const ApiRequest& request) const;

 private:
  void CheckBytes(const ApiRequest& request) const;
  // nullopt: far more tokens than the context holds.
  std::optional<std::vector<int32_t>> Encode(const ApiRequest& request) const;

  const ServedModel& model_;
  int64_t context_;
  std::optional<int64_t> most_bytes_;
};

}  // namespace retort
