// SPDX-License-Identifier: Apache-2.0
// Cutting texts into parts, as str.split and its relatives do.
#pragma once

#include <vector>

#include "template/jinja/text.h"

namespace retort::jinja {

// At most `most` cuts; negative: no limit.
std::vector<Text> SplitAtSpaces(const Text& text, int64_t most);
std::vector<Text> SplitAtSpacesFromRight(const Text& text, int64_t most);
std::vector<Text> SplitAt(const Text& text, std::string_view separator, int64_t most);
std::vector<Text> SplitAtFromRight(const Text& text, std::string_view separator, int64_t most);
// Unicode's line ends, as str.splitlines.
std::vector<Text> SplitLines(const Text& text, bool keep_ends);
// Each occurrence replaced, at most `most`; negative: all. An empty `from` stands around each
// character.
Text Replaced(const Text& text, std::string_view from, const Text& to, int64_t most);
// How often `part` occurs; an empty one around each character.
int64_t Occurrences(std::string_view text, std::string_view part);

}  // namespace retort::jinja
