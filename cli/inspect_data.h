// SPDX-License-Identifier: Apache-2.0
// What `retort inspect` tells of what a training is made from: rows and recipes.
#pragma once

#include "cli/inspect_report.h"

namespace retort {

// Whether the file is a recipe: one JSON object, comments allowed, with a section `data`.
bool IsRecipe(const Path& path);
// Whether its name is that of a file of rows.
bool IsRowsName(const Path& path);

// The recipe's keys that are not what they are by default, and whether what they name is there.
InspectReport InspectRecipe(const Path& path);
// Format, number and lengths of the rows; keys, roles and faults of the first ones.
InspectReport InspectRows(const Path& path);

}  // namespace retort
