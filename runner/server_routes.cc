// SPDX-License-Identifier: Apache-2.0
#include "runner/server_routes.h"

#include "base/strings.h"
#include "runner/openai_request.h"

namespace retort {
namespace {

// Takes a time that depends on the length of `given`, but not on the content of `secret`.
bool SameSecret(std::string_view given, std::string_view secret) {
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i] ^ secret[i % secret.size()]);
  }
  return difference == 0;
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

Route FindRoute(const HttpHead& head) {
  constexpr std::string_view kModelPrefix = "/v1/models/";
  Route route;
  if (head.path == "/health") {
    route.endpoint = Endpoint::kHealth;
  } else if (head.path == "/v1/models") {
    route.endpoint = Endpoint::kModels;
  } else if (StartsWith(head.path, kModelPrefix)) {
    route.endpoint = Endpoint::kModel;
    route.model = head.path.substr(kModelPrefix.size());
  } else if (head.path == "/v1/chat/completions") {
    route.endpoint = Endpoint::kChat;
  } else if (head.path == "/v1/completions") {
    route.endpoint = Endpoint::kCompletion;
  } else {
    throw ApiError(404, Cat("there is no ", Shortened(head.path),
                            "; see /v1/chat/completions, /v1/completions, /v1/models, /health"));
  }
  const bool posts = route.endpoint == Endpoint::kChat || route.endpoint == Endpoint::kCompletion;
  route.allowed = posts ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
  const bool reads = head.method == "GET" || head.method == "HEAD";
  if (head.method == "OPTIONS" || (posts ? head.method == "POST" : reads)) return route;
  ApiError error(
      405, Cat(Shortened(head.path), " takes ", route.allowed, ", not ", Shortened(head.method)));
  error.headers = {{"Allow", route.allowed}};
  throw error;
}

void CheckKey(const HttpHead& head, const std::string& key) {
  if (key.empty()) return;
  constexpr std::string_view kScheme = "bearer";
  const std::string_view given = head.Field("authorization");
  const size_t space = std::min(given.find(' '), given.size());
  if (SameIgnoringCase(given.substr(0, space), kScheme) &&
      SameSecret(Strip(given.substr(space)), key)) {
    return;
  }
  ApiError error(401, "a valid API key is needed: Authorization: Bearer KEY", "",
                 "invalid_api_key");
  error.headers = {{"WWW-Authenticate", "Bearer"}};
  throw error;
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
