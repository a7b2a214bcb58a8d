// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/special_texts.h"

namespace retort {

SpecialTexts::SpecialTexts(const TokenizerSpec& spec) {
  using PieceType = TokenizerSpec::PieceType;
  for (const TokenizerSpec::Piece& piece : spec.pieces) {
    if (piece.type == PieceType::kControl || piece.type == PieceType::kUnknown)
      texts_.push_back(piece.text);
  }
  table_ = PrefixTable({texts_.begin(), texts_.end()}, "tokenizer", "special token");
}

std::string_view SpecialTexts::First(std::string_view text) const {
  for (size_t pos = 0; pos < text.size(); ++pos) {
    const int32_t entry = table_.Longest(text, pos);
    if (entry >= 0) return texts_[table_.IndexOf(entry)];
  }
  return "";
}

}  // namespace retort
