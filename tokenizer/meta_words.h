// SPDX-License-Identifier: Apache-2.0
// Words of models that write a space as "▁" and cut texts into none: most of their text can be
// encoded word by word all the same.
#pragma once

#include <string_view>
#include <vector>

#include "tokenizer/text_steps.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// Whether no piece that text can become holds a space, or a mark behind another character. Then no
// merge crosses from another character to a mark: what begins there is a word of its own.
bool MarksOnlyLead(const TokenizerSpec& spec);

// The words of a text whose spaces are marks, laid end to end.
void CutAtMarks(std::string_view text, std::vector<PreTokenizer::Range>* words);

}  // namespace retort
