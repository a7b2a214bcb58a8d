// SPDX-License-Identifier: Apache-2.0
// What the header of a request to the API decides: the endpoint, and whether its body will be read.
#pragma once

#include <string>
#include <string_view>

#include "runner/api/error.h"
#include "runner/http/message.h"

namespace retort {

struct ApiError;

enum class Endpoint {
  // Answered without a body.
  kPage,
  kHealth,
  kLive,
  kReady,
  kMetrics,
  kModels,
  kModel,
  kProps,
  kSlots,
  kVersion,
  kOllamaTags,
  // Answered by the engine.
  kChat,
  kCompletion,
  kLlamaCppCompletion,
  kInfill,
  kEmbeddings,
  kResponses,
  kMessages,
  kPrograms,
  kOllamaGenerate,
  kOllamaChat,
  // Answered from the body alone.
  kTokenize,
  kDetokenize,
  kApplyTemplate,
  kCountTokens,
  kCountChatTokens,
  kOllamaShow,
  // Change what is served.
  kLoadAdapter,
  kUnloadAdapter,
  kReload
};
enum class Dialect { kOpenAi, kAnthropic, kOllama };

struct Route {
  Endpoint endpoint = Endpoint::kHealth;
  std::string_view name;  // for logs and metrics: "chat"
  bool posts = false;
  bool open = false;    // needs no key
  std::string model;    // of kModel: the name in the path
  std::string allowed;  // methods, for Allow
};

bool IsForEngine(Endpoint endpoint);
// What may take long, although its body is short.
inline bool ReadsFiles(Endpoint endpoint) { return endpoint == Endpoint::kLoadAdapter; }

// In which API's form the errors of this path are told.
Dialect DialectOf(std::string_view path);

ApiError NoSuchPath(std::string_view path);  // 404

// Throws ApiError: 404 for an unknown path, 405 for a method that it does not support. Neither
// depends on which model is served. OPTIONS is always supported.
Route FindRoute(const HttpHead& head);

// The key that a request has: Authorization: Bearer KEY, or X-Api-Key, which is Anthropic's. "":
// none.
std::string_view KeyOf(const HttpHead& head);

// Throws ApiError 415 unless the body is plain JSON in UTF-8. A web page can send bodies of other
// types to a local server without asking it first (a CORS preflight request).
void CheckMediaType(const HttpHead& head);

}  // namespace retort
