// SPDX-License-Identifier: Apache-2.0
// The line of each key of a JSON text, which the parser does not provide.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace retort {

// "train.lr" -> 12, lines counted from 1. The text must be valid JSON (comments allowed). Throws
// Error{kInput} beginning with `where` if an object has a key twice: the parser would silently drop
// one of them.
std::map<std::string, int> KeyLines(std::string_view text, const std::string& where);

}  // namespace retort
