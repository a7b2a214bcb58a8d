// SPDX-License-Identifier: Apache-2.0
// The line of each key of a JSON text, which the parser does not provide.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace retort {

// "train.lr" -> 12, lines counted from 1, for the keys of the outermost object and of the objects in
// it. The text should be valid JSON (comments allowed); of any other text the lines mean nothing.
// Throws Error{kInput} beginning with `where` and the line if an object, at any depth, has a key
// twice.
std::map<std::string, int> KeyLines(std::string_view text, const std::string& where);

}  // namespace retort
