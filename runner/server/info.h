// SPDX-License-Identifier: Apache-2.0
// What a server tells of itself and its model, in the forms of several APIs.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "runner/api/error.h"
#include "runner/service/current_model.h"

namespace retort {

class ServerInfo {
 public:
  // Both must outlive it.
  ServerInfo(const CurrentModel& current, const ServiceOptions& options);

  Json Health() const;
  // OpenAI's, of one of the names; absent: the model's. Throws ApiError 404.
  Json Model(const std::optional<std::string>& name) const;
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
  Json Model(const ModelService& service, const ServedVariant& variant) const;

  const CurrentModel& current_;
  const ServiceOptions& options_;
};

}  // namespace retort
