// SPDX-License-Identifier: Apache-2.0
// A short conversation with a served model on any device, to compare devices.
#pragma once

#include <string>
#include <vector>

#include "tensor/backend.h"

namespace retort {

// Two turns over HTTP with a small random model, greedy: what was answered.
std::vector<std::string> TwoTurns(Backend& backend, DType cache_type);

}  // namespace retort
