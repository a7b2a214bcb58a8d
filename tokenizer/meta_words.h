// SPDX-License-Identifier: Apache-2.0
// Splits text into words for models that write a space as "▁" and have no pre-tokenizer. Most of
// their text can still be encoded word by word.
#pragma once

#include <string_view>
#include <vector>

#include "tokenizer/text_steps.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// Whether no piece that text can produce contains a space, or a mark ("▁") after another character.
// Then no merge joins a mark to a preceding character, so a mark always begins a new word.
bool MarksOnlyLead(const TokenizerSpec& spec);

// Returns in `words` the consecutive words of a text whose spaces are marks.
void CutAtMarks(std::string_view text, std::vector<PreTokenizer::Range>* words);

}  // namespace retort
