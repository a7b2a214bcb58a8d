// SPDX-License-Identifier: Apache-2.0
// A text file as examples: its tokens in pieces of equal length.
#pragma once

#include <vector>

#include "data/examples.h"

namespace retort {

// Of `length` tokens, the last one shorter; all tokens but the first of a piece carry loss. A piece
// of one token is left out. Throws Error{kInput} for a file that cannot be read or has no piece.
std::vector<Example> TextPieces(const Path& file, const Tokenizer& tokenizer, int64_t length);

}  // namespace retort
