// SPDX-License-Identifier: Apache-2.0
// The endpoints, all that is known of each in its row of one table, and what the header of a
// request decides: which of them it is for, and whether its body will be read.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "runner/api/error.h"
#include "runner/http/message.h"

namespace retort {

struct PendingRequest;
struct ServerState;

enum class Method { kGet, kPost };  // kGet: HEAD too
enum class Access { kOpen, kWithKey };
enum class Dialect { kOpenAi, kAnthropic, kOllama };  // the form of its errors
enum class Work {
  kNow,    // needs no body, and the server's own thread answers it
  kBody,   // needs its body alone
  kFiles,  // reads files, which may take long although the body is short
  kEngine  // needs a place among the answers that run or wait
};

// Answers from the header. rest: of the path, behind the endpoint's own.
using HeadHandler = HttpAnswer (*)(const ServerState& server, const HttpHead& head,
                                   const std::string& rest);
// Answers, or begins to, on a thread of the server's work. Throws ApiError.
using BodyHandler = void (*)(ServerState& server, const std::shared_ptr<PendingRequest>& request);

struct Endpoint {
  std::string_view path;  // a name may stand behind one that ends with '/', except "/" itself
  std::string_view name;  // for logs and metrics: "chat"
  Method method;
  Access access;
  Dialect dialect;
  Work work;
  std::variant<HeadHandler, BodyHandler> handler;
};

std::span<const Endpoint> Endpoints();

struct Route {
  const Endpoint* endpoint = nullptr;
  std::string rest;     // of the path, behind the endpoint's own
  std::string allowed;  // methods, for Allow
};

// In which API's form the errors of this path are told, whether or not there is such a path.
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
