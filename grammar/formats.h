// SPDX-License-Identifier: Apache-2.0
// The formats of JSON Schema as regular expressions.
#pragma once

#include <string_view>

namespace retort {

// The texts of a format, or some of them: never one that is not of it. Null: a name that no
// standard knows, which says nothing. "": a format that is known and not supported.
const char* FormatRegex(std::string_view name);

}  // namespace retort
