// SPDX-License-Identifier: Apache-2.0
// The merges that the scores of a SentencePiece byte-pair model imply, for a tokenizer.json.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace retort {

// "left right", best first: every way to cut a piece into two others, by the pieces' scores. (The
// library merges whichever neighbours spell the best piece.) nullopt if merges cannot say it: two
// pieces with one score, of which the leftmost in a text goes first, unless they are runs of one
// character, as Llama's runs of spaces; or a piece of characters that are none.
std::optional<std::vector<std::string>> MergesOfScores(const TokenizerSpec& spec);

}  // namespace retort
