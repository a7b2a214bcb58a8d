// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/file.h"

namespace retort {

// metrics.jsonl as a table: a column for each key that occurs, in the order of their first
// occurrence, and a record for each line, with empty fields for keys that it lacks (RFC 4180).
std::string MetricsCsv(const Path& metrics);

}  // namespace retort
