// SPDX-License-Identifier: Apache-2.0
#include "runner/openai_answer.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "runner/http_message.h"

namespace retort {
namespace {

constexpr size_t kMostMessageBytes = 1000;  // messages quote requests, which may be large

Json UsageJson(const ApiUsage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
}

Json FinishJson(FinishReason finish) {
  return finish == FinishReason::kNone ? Json() : Json(std::string(NameOf(finish)));
}

Json Begin(const ApiAnswer& answer, const char* chat_object, const char* completion_object) {
  const bool chat = answer.kind == ApiKind::kChat;
  return {{"id", answer.id},
          {"object", chat ? chat_object : completion_object},
          {"created", answer.created},
          {"model", answer.model}};
}

Json Chunk(const ApiAnswer& answer, Json choices, Json usage) {
  Json chunk = Begin(answer, "chat.completion.chunk", "text_completion");
  chunk["choices"] = std::move(choices);
  if (answer.include_usage) chunk["usage"] = std::move(usage);
  return chunk;
}

// said: the delta of a chat, or the text of a completion.
std::string ChoiceChunk(const ApiAnswer& answer, Json said, FinishReason finish) {
  const Json choice = {{"index", 0},
                       {answer.kind == ApiKind::kChat ? "delta" : "text", std::move(said)},
                       {"logprobs", nullptr},
                       {"finish_reason", FinishJson(finish)}};
  return DumpJson(Chunk(answer, Json::array({choice}), nullptr));
}

std::string TypeOf(int status) {
  if (status == 401) return "authentication_error";
  if (status == 403) return "permission_error";
  if (status == 404) return "not_found_error";
  if (status == 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}

}  // namespace

std::string ApiAnswer::Whole(const std::string& text, FinishReason finish,
                             const ApiUsage& usage) const {
  Json choice = {{"index", 0}};
  if (kind == ApiKind::kChat) {
    choice["message"] = {{"role", "assistant"}, {"content", text}, {"refusal", nullptr}};
  } else {
    choice["text"] = text;
  }
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = FinishJson(finish);
  Json whole = Begin(*this, "chat.completion", "text_completion");
  whole["choices"] = Json::array({choice});
  whole["usage"] = UsageJson(usage);
  return DumpJson(whole);
}

std::string ApiAnswer::RoleChunk() const {
  return ChoiceChunk(*this, {{"role", "assistant"}, {"content", ""}}, FinishReason::kNone);
}

std::string ApiAnswer::TextChunk(const std::string& text) const {
  return ChoiceChunk(*this, kind == ApiKind::kChat ? Json{{"content", text}} : Json(text),
                     FinishReason::kNone);
}

std::string ApiAnswer::FinishChunk(FinishReason finish) const {
  return ChoiceChunk(*this, kind == ApiKind::kChat ? Json::object() : Json(""), finish);
}

std::string ApiAnswer::UsageChunk(const ApiUsage& usage) const {
  return DumpJson(Chunk(*this, Json::array(), UsageJson(usage)));
}

std::string ApiErrorBody(const ApiError& error) {
  const auto or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  return DumpJson({{"error",
                    {{"message", Shortened(error.what(), kMostMessageBytes)},
                     {"type", TypeOf(error.status)},
                     {"param", or_null(Shortened(error.param, kMostMessageBytes))},
                     {"code", or_null(error.code)}}}});
}

std::string ServerSentEvent(const std::string& text) { return Cat("data: ", text, "\n\n"); }

}  // namespace retort
