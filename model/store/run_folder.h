// SPDX-License-Identifier: Apache-2.0
// A run's folder stands for what was trained in it.
#pragma once

#include <optional>

#include "base/file.h"

namespace retort {

// The adapter's folder that a path names: itself, or adapter/ in a run's folder. nullopt if it
// names none.
std::optional<Path> AdapterFolderAt(const Path& path);

// The model's folder or file that a path names: itself, or model/ in the folder of a run that
// trained every weight. Throws Error{kInput} for a run or a folder that holds an adapter alone,
// which says how to use it.
Path ModelAt(const Path& path);

}  // namespace retort
