// SPDX-License-Identifier: Apache-2.0
// A request's prompts as token ids that fit the model.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "runner/api/error.h"
#include "runner/api/request.h"
#include "runner/service/served_model.h"

namespace retort {

class PromptReader {
 public:
  // Both must outlive it. context: maximum tokens of a request, including its answer.
  PromptReader(const ServedModel& model, int64_t context) : model_(model), context_(context) {}
  // Throws ApiError 400 if a prompt is empty, too long, or not within the vocabulary. Texts that
  // cannot fit are not tokenised to their end (Tokenizer::EncodeAtMost). Thread-safe. A chat has
  // one prompt.
  std::vector<std::vector<int32_t>> Read(const ApiRequest& request) const;
  // How many tokens a chat's prompt has, which may be too many for the context. Throws ApiError 400
  // if it is not worth finding out.
  int64_t Count(const ApiRequest& request) const;
  // So many tokens of a prompt are counted; of longer ones it is not worth finding out.
  static size_t CountLimit(int64_t context);
  // The text of a conversation, as its template writes it.
  std::string Render(const ApiRequest& request) const;

 private:
  using Ids = std::vector<int32_t>;
  // nullopt: far more tokens than the context holds.
  std::optional<Ids> EncodeChat(const ApiRequest& request, size_t limit) const;
  std::optional<Ids> EncodeText(const ApiPrompt& prompt, size_t limit) const;
  Ids Fitting(const ApiRequest& request, std::optional<Ids> ids) const;
  void CheckChat() const;

  const ServedModel& model_;
  int64_t context_;
};

}  // namespace retort
