// SPDX-License-Identifier: Apache-2.0
// Looks a piece up by its text.
#pragma once

#include <algorithm>
#include <string_view>

#include "tokenizer/tokenizer.h"

namespace retort {

// The first id with this text, or -1. Takes time in proportion to the vocabulary.
inline int32_t PieceId(const TokenizerSpec& spec, std::string_view text) {
  const auto it = std::ranges::find(spec.pieces, text, &TokenizerSpec::Piece::text);
  return it == spec.pieces.end() ? -1 : static_cast<int32_t>(it - spec.pieces.begin());
}

}  // namespace retort
