// SPDX-License-Identifier: Apache-2.0
// Small config.json objects, one or two of each family, with the settings that its files have.
#pragma once

#include "base/json.h"

namespace retort {

// Two layers of width 64, 300 ids; `more` adds to the usual keys or replaces them.
Json ConfigWith(const char* family, const Json& more);

// By name, those that a GGUF can hold.
Json FamilyConfigs();

}  // namespace retort
