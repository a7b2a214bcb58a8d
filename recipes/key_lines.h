// SPDX-License-Identifier: Apache-2.0
// Where each key of a JSON text stands, which the parser does not tell.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace retort {

// "train.lr" -> 12, lines counted from 1. The text must have parsed as JSON (comments allowed).
// Throws Error{kInput} beginning with `where` on a key given twice in one object, of which a
// parser would keep one without a word.
std::map<std::string, int> KeyLines(std::string_view text, const std::string& where);

}  // namespace retort
