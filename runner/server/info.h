// SPDX-License-Identifier: Apache-2.0
// What a server tells of itself and its model, in the forms of several APIs.
#pragma once

#include <string>

#include "base/json.h"
#include "runner/api/error.h"
#include "runner/service/model_service.h"

namespace retort {

class ServerInfo {
 public:
  // Both must outlive it.
  ServerInfo(const ModelService& service, const ServiceOptions& options);

  int64_t started() const { return started_; }  // seconds since 1970

  Json Health() const;
  Json Model(const ServedVariant& variant) const;  // OpenAI's
  Json Models() const;
  Json Props() const;  // llama.cpp's
  // llama.cpp's: the answers that may run, and how many do. need_free: throws ApiError 503 if no
  // other may.
  Json Slots(bool need_free) const;
  Json Version() const;  // vLLM's and Ollama's
  Json Tags() const;     // Ollama's list of models
  // Ollama's details of the model that the body names. Throws ApiError.
  Json Show(const std::string& body) const;

 private:
  Json Details(const ServedVariant& variant) const;

  const ModelService& service_;
  const ServiceOptions& options_;
  const int64_t started_;
};

}  // namespace retort
