// SPDX-License-Identifier: Apache-2.0
#include "runner/server_prompt.h"

#include "base/error.h"

namespace retort {
namespace {

constexpr int64_t kCounted = 4;  // contexts

std::string PromptParameter(const ApiRequest& request) {
  return request.kind == ApiKind::kChat ? "messages" : "prompt";
}

ApiError TooLong(const ApiRequest& request, const std::string& message) {
  return ApiError(400, message, PromptParameter(request), "context_length_exceeded");
}

}  // namespace

std::optional<std::vector<int32_t>> PromptReader::Encode(const ApiRequest& request) const {
  if (!request.prompt_ids.empty()) return request.prompt_ids;
  // Beyond this many tokens, how many there are is not worth finding out.
  const auto limit = static_cast<size_t>(kCounted * context_);
  std::string param = PromptParameter(request);
  try {
    if (request.kind == ApiKind::kCompletion)
      return model_.tokenizer.EncodePromptAtMost(request.prompt, limit);
    Conversation conversation(request.messages);
    if (request.tools.Shown()) conversation.tools = request.tools.json;
    conversation.variables = request.variables;
    return EncodeChatAtMost(model_.tokenizer, *model_.chat, conversation, true, limit, "messages");
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::kInput) throw;
    const std::string what = e.what();
    if (request.tools.Shown() && what.find("'tools'") != std::string::npos) param = "tools";
    throw ApiError(400, what, param, "invalid_value");
  }
}

std::vector<int32_t> PromptReader::Read(const ApiRequest& request) const {
  if (request.kind == ApiKind::kChat && !model_.chat)
    throw ApiError(400, model_.no_chat, "messages", "no_chat_template");
  std::optional<std::vector<int32_t>> encoded = Encode(request);
  if (!encoded) {
    throw TooLong(request, Cat("the prompt's more than ", kCounted * context_,
                               " tokens leave no room in the context of ", context_));
  }
  std::vector<int32_t> ids = *std::move(encoded);
  const std::string param = PromptParameter(request);
  if (ids.empty()) throw ApiError(400, "the prompt is empty", param, "invalid_value");
  const int64_t vocab = model_.model.config.vocab;
  for (const int32_t id : ids) {
    if (id < vocab) continue;
    throw ApiError(400, Cat("the prompt's token ", id, " is not within the vocabulary of ", vocab),
                   param, "invalid_value");
  }
  if (static_cast<int64_t>(ids.size()) >= context_) {
    throw TooLong(request, Cat("the prompt's ", ids.size(),
                               " tokens leave no room in the context of ", context_));
  }
  return ids;
}

}  // namespace retort
