// SPDX-License-Identifier: Apache-2.0
// Whether scores of pieces, as in SentencePiece and in a GGUF's "llama", say the same as a list of merges.
#pragma once

#include "tokenizer/tokenizer.h"

namespace retort {

// With scores any two neighbours merge whose text is a piece, the best piece first and of equal
// ones the leftmost. That is the same as the spec's merges if these hold every way to cut a piece
// in two pieces, all of one piece one after another, and where a piece can begin within itself ("aa" of "aaa"), the way that
// is further left first.
bool ScoresSayMerges(const TokenizerSpec& spec);

}  // namespace retort
