// SPDX-License-Identifier: Apache-2.0
// Reads the fields of one row. Used by data/rows.cc alone; see data/rows.h for the formats.
#pragma once

#include "base/json.h"
#include "data/rows.h"

namespace retort {

// Fills a row whose `kind` and `where` are set. Throws Error{kInput} that begins with row.where. An
// alpaca row becomes a kPromptCompletion.
void FillRow(const Json& json, Row& row);

}  // namespace retort
