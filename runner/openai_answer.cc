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
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.reused_tokens}}}};
}

// called: the answer calls tools.
Json FinishJson(FinishReason finish, bool called = false) {
  if (called && finish == FinishReason::kStop) return "tool_calls";
  return finish == FinishReason::kNone ? Json() : Json(std::string(NameOf(finish)));
}

Json CallJson(const ApiCall& call) {
  return {{"id", call.id},
          {"type", "function"},
          {"function", {{"name", call.name}, {"arguments", call.arguments}}}};
}

Json MessageJson(const ApiMessage& said) {
  // As OpenAI's API has it: an answer of calls alone has no content.
  const bool none = said.content.empty() && !said.calls.empty();
  Json message = {
      {"role", "assistant"}, {"content", none ? Json() : Json(said.content)}, {"refusal", nullptr}};
  if (!said.thought.empty()) message["reasoning_content"] = said.thought;
  for (const ApiCall& call : said.calls) message["tool_calls"].push_back(CallJson(call));
  return message;
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
std::string ChoiceChunk(const ApiAnswer& answer, Json said, const Json& finish = {}) {
  const Json choice = {{"index", 0},
                       {answer.kind == ApiKind::kChat ? "delta" : "text", std::move(said)},
                       {"logprobs", nullptr},
                       {"finish_reason", finish}};
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

std::string ApiAnswer::Whole(const ApiMessage& said, FinishReason finish,
                             const ApiUsage& usage) const {
  Json choice = {{"index", 0}};
  if (kind == ApiKind::kChat) {
    choice["message"] = MessageJson(said);
  } else {
    choice["text"] = said.content;
  }
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = FinishJson(finish, !said.calls.empty());
  Json whole = Begin(*this, "chat.completion", "text_completion");
  whole["choices"] = Json::array({choice});
  whole["usage"] = UsageJson(usage);
  return DumpJson(whole);
}

std::string ApiAnswer::RoleChunk() const {
  return ChoiceChunk(*this, {{"role", "assistant"}, {"content", ""}});
}

std::string ApiAnswer::TextChunk(const std::string& text) const {
  return ChoiceChunk(*this, kind == ApiKind::kChat ? Json{{"content", text}} : Json(text));
}

std::string ApiAnswer::ThoughtChunk(const std::string& text) const {
  return ChoiceChunk(*this, {{"reasoning_content", text}});
}

std::string ApiAnswer::CallChunk(size_t index, const ApiCall& call) const {
  Json begun = {{"index", index}};
  begun.update(CallJson(call));
  return ChoiceChunk(*this, {{"tool_calls", Json::array({begun})}});
}

std::string ApiAnswer::ArgumentsChunk(size_t index, const std::string& text) const {
  const Json more = {{"index", index}, {"function", {{"arguments", text}}}};
  return ChoiceChunk(*this, {{"tool_calls", Json::array({more})}});
}

std::string ApiAnswer::FinishChunk(FinishReason finish, bool called) const {
  return ChoiceChunk(*this, kind == ApiKind::kChat ? Json::object() : Json(""),
                     FinishJson(finish, called));
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
