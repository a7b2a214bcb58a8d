// SPDX-License-Identifier: Apache-2.0
// Reading the served model's files again while the server runs: /v1/reload, and what is told of it.
#pragma once

#include <string>

#include "runner/api/error.h"
#include "runner/service/current_model.h"

namespace retort {

// Throws ApiError 403 if clients may not ask for it, and 400 if the body says anything.
void CheckReload(const ReloadOptions& options, const std::string& body);

// A line for whoever runs the server. name: the model's.
std::string NoteOf(const ReloadOutcome& outcome, const std::string& name);

}  // namespace retort
