// SPDX-License-Identifier: Apache-2.0
#include "runner/server/routes.h"

#include <algorithm>

#include "base/strings.h"
#include "base/text.h"
#include "runner/api/error.h"

namespace retort {
namespace {

struct PathRow {
  std::string_view path;
  Endpoint endpoint;
  std::string_view name;
};
constexpr PathRow kPaths[] = {
    {"/", Endpoint::kPage, "page"},
    {"/health", Endpoint::kHealth, "health"},
    {"/v1/health", Endpoint::kHealth, "health"},
    {"/livez", Endpoint::kLive, "livez"},
    {"/readyz", Endpoint::kReady, "readyz"},
    {"/metrics", Endpoint::kMetrics, "metrics"},
    {"/v1/models", Endpoint::kModels, "models"},
    {"/models", Endpoint::kModels, "models"},
    {"/props", Endpoint::kProps, "props"},
    {"/slots", Endpoint::kSlots, "slots"},
    {"/version", Endpoint::kVersion, "version"},
    {"/api/version", Endpoint::kVersion, "version"},
    {"/api/tags", Endpoint::kOllamaTags, "tags"},
    {"/v1/chat/completions", Endpoint::kChat, "chat"},
    {"/chat/completions", Endpoint::kChat, "chat"},
    {"/v1/completions", Endpoint::kCompletion, "completions"},
    {"/completions", Endpoint::kCompletion, "completions"},
    {"/completion", Endpoint::kLlamaCppCompletion, "completion"},
    {"/infill", Endpoint::kInfill, "infill"},
    {"/v1/embeddings", Endpoint::kEmbeddings, "embeddings"},
    {"/embeddings", Endpoint::kEmbeddings, "embeddings"},
    {"/v1/responses", Endpoint::kResponses, "responses"},
    {"/responses", Endpoint::kResponses, "responses"},
    {"/v1/messages", Endpoint::kMessages, "messages"},
    {"/v1/programs", Endpoint::kPrograms, "programs"},
    {"/api/generate", Endpoint::kOllamaGenerate, "generate"},
    {"/api/chat", Endpoint::kOllamaChat, "ollama_chat"},
    {"/tokenize", Endpoint::kTokenize, "tokenize"},
    {"/detokenize", Endpoint::kDetokenize, "detokenize"},
    {"/apply-template", Endpoint::kApplyTemplate, "apply_template"},
    {"/v1/messages/count_tokens", Endpoint::kCountTokens, "count_tokens"},
    {"/v1/chat/completions/input_tokens", Endpoint::kCountChatTokens, "count_chat_tokens"},
    {"/chat/completions/input_tokens", Endpoint::kCountChatTokens, "count_chat_tokens"},
    {"/api/show", Endpoint::kOllamaShow, "show"},
    {"/v1/load_lora_adapter", Endpoint::kLoadAdapter, "load_adapter"},
    {"/v1/unload_lora_adapter", Endpoint::kUnloadAdapter, "unload_adapter"},
    {"/v1/reload", Endpoint::kReload, "reload"}};

// The value of a media type's parameter ("charset"), without quotes; "" if there is none.
std::string_view MediaParameter(std::string_view type, std::string_view name) {
  while (true) {
    const size_t semicolon = type.find(';');
    if (semicolon == std::string_view::npos) return "";
    type.remove_prefix(semicolon + 1);
    const std::string_view parameter = Strip(type.substr(0, type.find(';')));
    const size_t equals = parameter.find('=');
    if (equals == std::string_view::npos ||
        !SameIgnoringCase(Strip(parameter.substr(0, equals)), name))
      continue;
    std::string_view value = Strip(parameter.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    return value;
  }
}

}  // namespace

ApiError NoSuchPath(std::string_view path) {
  return ApiError(404, Cat("there is no ", Shortened(path),
                           "; see /v1/chat/completions, /v1/completions, /v1/models, /health"));
}

bool IsForEngine(Endpoint endpoint) {
  return endpoint >= Endpoint::kChat && endpoint <= Endpoint::kOllamaChat;
}

Dialect DialectOf(std::string_view path) {
  if (StartsWith(path, "/api/")) return Dialect::kOllama;
  return StartsWith(path, "/v1/messages") ? Dialect::kAnthropic : Dialect::kOpenAi;
}

Route FindRoute(const HttpHead& head) {
  Route route;
  const auto row = std::ranges::find(kPaths, std::string_view(head.path), &PathRow::path);
  if (row != std::end(kPaths)) {
    route.endpoint = row->endpoint;
    route.name = row->name;
  } else {
    for (const std::string_view prefix : {"/v1/models/", "/models/"}) {
      if (!StartsWith(head.path, prefix)) continue;
      route.endpoint = Endpoint::kModel;
      route.name = "model";
      route.model = head.path.substr(prefix.size());
    }
    if (route.name.empty()) throw NoSuchPath(head.path);
  }
  route.posts = route.endpoint >= Endpoint::kChat;
  route.open = route.endpoint <= Endpoint::kReady;
  route.allowed = route.posts ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
  const bool reads = head.method == "GET" || head.method == "HEAD";
  if (head.method == "OPTIONS" || (route.posts ? head.method == "POST" : reads)) return route;
  ApiError error(
      405, Cat(Shortened(head.path), " takes ", route.allowed, ", not ", Shortened(head.method)));
  error.headers = {{"Allow", route.allowed}};
  throw error;
}

std::string_view KeyOf(const HttpHead& head) {
  constexpr std::string_view kScheme = "bearer";
  const std::string_view given = head.Field("authorization");
  const size_t space = std::min(given.find(' '), given.size());
  if (SameIgnoringCase(given.substr(0, space), kScheme)) return Strip(given.substr(space));
  return Strip(head.Field("x-api-key"));
}

void CheckMediaType(const HttpHead& head) {
  const std::string& encoding = head.Field("content-encoding");
  if (!encoding.empty() && !SameIgnoringCase(encoding, "identity")) {
    throw ApiError(415, Cat("Content-Encoding '", Shortened(encoding),
                            "' is not supported; send the body as it is"));
  }
  const std::string_view type = head.Field("content-type");
  if (!SameIgnoringCase(Strip(type.substr(0, type.find(';'))), "application/json"))
    throw ApiError(415, "the body must come with Content-Type: application/json");
  const std::string_view charset = MediaParameter(type, "charset");
  if (!charset.empty() && !SameIgnoringCase(charset, "utf-8")) {
    throw ApiError(415, Cat("charset '", Shortened(charset), "' is not supported; JSON is UTF-8"));
  }
}

}  // namespace retort
