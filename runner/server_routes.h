// SPDX-License-Identifier: Apache-2.0
// What the header of a request to the API decides: the endpoint, and whether its body will be read.
#pragma once

#include <string>

#include "runner/http_message.h"

namespace retort {

enum class Endpoint { kHealth, kModels, kModel, kChat, kCompletion };

struct Route {
  Endpoint endpoint = Endpoint::kHealth;
  std::string model;    // of kModel: the name in the path
  std::string allowed;  // methods, for Allow
};

// Throws ApiError: 404 for an unknown path, 405 for a method that it does not support. Neither
// depends on which model is served. OPTIONS is always supported.
Route FindRoute(const HttpHead& head);

// Throws ApiError 401 unless the header has the key. An empty key is none, and allows all.
void CheckKey(const HttpHead& head, const std::string& key);

// Throws ApiError 415 unless the body is plain JSON in UTF-8. A web page can send bodies of other
// types to a local server without asking it first (a CORS preflight request).
void CheckMediaType(const HttpHead& head);

}  // namespace retort
