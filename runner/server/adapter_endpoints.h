// SPDX-License-Identifier: Apache-2.0
// Loading and unloading adapters while the server runs, as vLLM names it: /v1/load_lora_adapter and
// /v1/unload_lora_adapter.
#pragma once

#include <memory>
#include <string>

#include "base/json.h"
#include "runner/api/error.h"
#include "runner/service/model_service.h"

namespace retort {

// Each takes a request's body, and throws ApiError. root: the folder whose adapters may be loaded;
// "": none may, which is status 403.
std::shared_ptr<const ServedVariant> LoadAdapter(ModelService& service, const Path& root,
                                                 const std::string& body);
Json UnloadAdapter(ModelService& service, const Path& root, const std::string& body);

}  // namespace retort
