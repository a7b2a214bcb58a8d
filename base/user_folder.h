// SPDX-License-Identifier: Apache-2.0
// Where a user's files lie that no command names (the XDG base directory specification).
#pragma once

#include <optional>

#include "base/file.h"

namespace retort {

// Retort's folder in $VARIABLE, or in `otherwise` of the user's home. A relative $VARIABLE is
// ignored, as the specification says. nullopt: the user has neither. Nothing is made.
std::optional<Path> UserFolder(const char* variable, const Path& otherwise);

// Whether the folder is this user's and nobody else may write to it. It is made, for this user
// alone, if it is missing.
bool IsOwnFolder(const Path& folder);

}  // namespace retort
