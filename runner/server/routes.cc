// SPDX-License-Identifier: Apache-2.0
#include "runner/server/routes.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/text.h"
#include "runner/server/dialects.h"
#include "runner/server/handlers.h"
#include "runner/server/token_endpoints.h"

namespace retort {
namespace {

// What the server says of itself.
template <Json (ServerInfo::*say)() const>
HttpAnswer HandleInfo(const ServerState& server, const HttpHead& /*head*/,
                      const std::string& /*rest*/) {
  return JsonAnswer((server.info.*say)());
}

// A request for the engine, which `read` reads.
template <JobReader read>
void HandleJob(ServerState& server, const std::shared_ptr<PendingRequest>& request) {
  server.Submit(*request, read);
}

// Answered from the body and the model.
template <Json (*answer)(const ModelService& service, const std::string& body)>
void HandleBody(ServerState& server, const std::shared_ptr<PendingRequest>& request) {
  server.Finish(*request, answer(*server.current.Get(), request->http->body));
}

constexpr auto Table() {
  using enum Method;
  using enum Access;
  using enum Dialect;
  using enum Work;
  // clang-format off
  return std::to_array<Endpoint>({
    {"/", "page", kGet, kOpen, kOpenAi, kNow, HandlePage},
    {"/health", "health", kGet, kOpen, kOpenAi, kNow, HandleInfo<&ServerInfo::Health>},
    {"/v1/health", "health", kGet, kOpen, kOpenAi, kNow, HandleInfo<&ServerInfo::Health>},
    {"/livez", "livez", kGet, kOpen, kOpenAi, kNow, HandleLive},
    {"/readyz", "readyz", kGet, kOpen, kOpenAi, kNow, HandleReady},
    {"/metrics", "metrics", kGet, kWithKey, kOpenAi, kNow, HandleMetrics},
    {"/v1/models", "models", kGet, kWithKey, kOpenAi, kNow, HandleInfo<&ServerInfo::Models>},
    {"/models", "models", kGet, kWithKey, kOpenAi, kNow, HandleInfo<&ServerInfo::Models>},
    {"/v1/models/", "model", kGet, kWithKey, kOpenAi, kNow, HandleModel},
    {"/models/", "model", kGet, kWithKey, kOpenAi, kNow, HandleModel},
    {"/props", "props", kGet, kWithKey, kOpenAi, kNow, HandleInfo<&ServerInfo::Props>},
    {"/slots", "slots", kGet, kWithKey, kOpenAi, kNow, HandleSlots},
    {"/version", "version", kGet, kWithKey, kOpenAi, kNow, HandleInfo<&ServerInfo::Version>},
    {"/api/version", "version", kGet, kWithKey, kOllama, kNow, HandleInfo<&ServerInfo::Version>},
    {"/api/tags", "tags", kGet, kWithKey, kOllama, kNow, HandleInfo<&ServerInfo::Tags>},
    {"/v1/chat/completions", "chat", kPost, kWithKey, kOpenAi, kEngine, HandleJob<ReadChatJob>},
    {"/chat/completions", "chat", kPost, kWithKey, kOpenAi, kEngine, HandleJob<ReadChatJob>},
    {"/v1/completions", "completions", kPost, kWithKey, kOpenAi, kEngine,
     HandleJob<ReadCompletionJob>},
    {"/completions", "completions", kPost, kWithKey, kOpenAi, kEngine,
     HandleJob<ReadCompletionJob>},
    {"/completion", "completion", kPost, kWithKey, kOpenAi, kEngine, HandleJob<ReadLlamaCppJob>},
    {"/infill", "infill", kPost, kWithKey, kOpenAi, kEngine, HandleJob<ReadInfillJob>},
    {"/v1/embeddings", "embeddings", kPost, kWithKey, kOpenAi, kEngine,
     HandleJob<ReadEmbeddingsJob>},
    {"/embeddings", "embeddings", kPost, kWithKey, kOpenAi, kEngine,
     HandleJob<ReadEmbeddingsJob>},
    {"/v1/responses", "responses", kPost, kWithKey, kOpenAi, kEngine, HandleJob<ReadResponsesJob>},
    {"/responses", "responses", kPost, kWithKey, kOpenAi, kEngine, HandleJob<ReadResponsesJob>},
    {"/v1/messages", "messages", kPost, kWithKey, kAnthropic, kEngine, HandleJob<ReadAnthropicJob>},
    {"/v1/programs", "programs", kPost, kWithKey, kOpenAi, kEngine, HandleProgram},
    {"/api/generate", "generate", kPost, kWithKey, kOllama, kEngine,
     HandleJob<ReadOllamaGenerateJob>},
    {"/api/chat", "ollama_chat", kPost, kWithKey, kOllama, kEngine, HandleJob<ReadOllamaChatJob>},
    {"/tokenize", "tokenize", kPost, kWithKey, kOpenAi, kBody, HandleBody<Tokenize>},
    {"/detokenize", "detokenize", kPost, kWithKey, kOpenAi, kBody, HandleBody<Detokenize>},
    {"/apply-template", "apply_template", kPost, kWithKey, kOpenAi, kBody,
     HandleBody<ApplyTemplate>},
    {"/v1/messages/count_tokens", "count_tokens", kPost, kWithKey, kAnthropic, kBody,
     HandleBody<CountTokens>},
    {"/v1/chat/completions/input_tokens", "count_chat_tokens", kPost, kWithKey, kOpenAi, kBody,
     HandleBody<CountChatTokens>},
    {"/chat/completions/input_tokens", "count_chat_tokens", kPost, kWithKey, kOpenAi, kBody,
     HandleBody<CountChatTokens>},
    {"/api/show", "show", kPost, kWithKey, kOllama, kBody, HandleShow},
    {"/v1/load_lora_adapter", "load_adapter", kPost, kWithKey, kOpenAi, kFiles, HandleLoadAdapter},
    {"/v1/unload_lora_adapter", "unload_adapter", kPost, kWithKey, kOpenAi, kBody,
     HandleUnloadAdapter},
    {"/v1/reload", "reload", kPost, kWithKey, kOpenAi, kBody, HandleReload}});
  // clang-format on
}
constexpr auto kEndpoints = Table();

// What is answered at once has no body, and all else has.
constexpr bool IsConsistent(const Endpoint& endpoint) {
  const bool now = endpoint.work == Work::kNow;
  return now == (endpoint.method == Method::kGet) &&
         now == std::holds_alternative<HeadHandler>(endpoint.handler);
}
static_assert(std::ranges::all_of(kEndpoints, IsConsistent));

// Null: there is no such path.
const Endpoint* EndpointAt(std::string_view path) {
  const auto names = [path](const Endpoint& endpoint) {
    const std::string_view own = endpoint.path;
    return path == own || (own.size() > 1 && own.back() == '/' && StartsWith(path, own));
  };
  for (const Endpoint& endpoint : kEndpoints) {
    if (names(endpoint)) return &endpoint;
  }
  return nullptr;
}

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

std::span<const Endpoint> Endpoints() { return kEndpoints; }

Dialect DialectOf(std::string_view path) {
  if (const Endpoint* endpoint = EndpointAt(path)) return endpoint->dialect;
  if (StartsWith(path, "/api/")) return Dialect::kOllama;
  return StartsWith(path, "/v1/messages") ? Dialect::kAnthropic : Dialect::kOpenAi;
}

Route FindRoute(const HttpHead& head) {
  Route route;
  route.endpoint = EndpointAt(head.path);
  if (!route.endpoint) throw NoSuchPath(head.path);
  route.rest = head.path.substr(route.endpoint->path.size());
  const bool posts = route.endpoint->method == Method::kPost;
  route.allowed = posts ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
  const bool reads = head.method == "GET" || head.method == "HEAD";
  if (head.method == "OPTIONS" || (posts ? head.method == "POST" : reads)) return route;
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
