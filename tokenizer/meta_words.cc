// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/meta_words.h"

#include <algorithm>

#include "base/error.h"
#include "tokenizer/utf8.h"

namespace retort {

bool MarksOnlyLead(const TokenizerSpec& spec) {
  using PieceType = TokenizerSpec::PieceType;
  for (const TokenizerSpec::Piece& piece : spec.pieces) {
    if (piece.type != PieceType::kNormal && piece.type != PieceType::kUserDefined &&
        piece.type != PieceType::kUnused) {
      continue;
    }
    if (piece.text.find(' ') != std::string::npos) return false;
    size_t word = 0;  // end of the piece's leading marks
    while (piece.text.compare(word, kMetaSpace.size(), kMetaSpace) == 0) word += kMetaSpace.size();
    if (piece.text.find(kMetaSpace, word) != std::string::npos) return false;
  }
  return true;
}

void CutAtMarks(std::string_view text, std::vector<PreTokenizer::Range>* words) {
  words->clear();
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    while (StartsWith(text.substr(end), kMetaSpace)) end += kMetaSpace.size();
    end = std::min(text.find(kMetaSpace, end), text.size());
    words->push_back({begin, end});
    begin = end;
  }
}

}  // namespace retort
