// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/merge_scores.h"

#include <algorithm>
#include <string_view>

#include "base/strings.h"
#include "tokenizer/text_index.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

using PieceType = TokenizerSpec::PieceType;

// Building takes time quadratic in a piece's length. Real pieces are far below.
constexpr size_t kMaxCheckedBytes = 256;

class Checker {
 public:
  explicit Checker(const TokenizerSpec& spec) : spec_(spec) {
    pieces_.Reserve(spec.pieces.size());
    ranks_.Reserve(spec.merges.size());
    for (size_t id = 0; id < spec.pieces.size(); ++id) {
      const TokenizerSpec::Piece& piece = spec.pieces[id];
      if (piece.type == PieceType::kNormal && !piece.text.empty())
        pieces_.Put(piece.text, static_cast<int32_t>(id));
    }
    for (size_t rank = 0; rank < spec.merges.size(); ++rank)
      ranks_.Put(spec.merges[rank], static_cast<int32_t>(rank));
  }

  bool Agrees() const {
    return std::ranges::all_of(spec_.pieces, [&](const TokenizerSpec::Piece& piece) {
      return piece.type != PieceType::kNormal || AgreesOn(piece.text);
    });
  }

 private:
  // A part that a text can have: a piece, or a single character.
  bool IsPart(std::string_view text) const {
    return pieces_.Find(text) >= 0 || static_cast<size_t>(DecodeUtf8(text, 0).size) == text.size();
  }

  bool AgreesOn(std::string_view piece) const {
    if (piece.size() > kMaxCheckedBytes) return false;
    int32_t first = -1, last = -1, count = 0;
    for (size_t cut = 0; cut < piece.size();) {
      cut += static_cast<size_t>(DecodeUtf8(piece, cut).size);
      if (cut >= piece.size()) break;
      const std::string_view left = piece.substr(0, cut), right = piece.substr(cut);
      if (!IsPart(left) || !IsPart(right)) continue;
      const int32_t rank = ranks_.Find(Cat(left, " ", right));
      if (rank < 0) return false;
      first = count == 0 ? rank : std::min(first, rank);
      last = std::max(last, rank);
      ++count;
      if (!RightsFollow(piece, left, right, rank)) return false;
    }
    return count == 0 || last - first + 1 == count;
  }

  // Of a text such as left + right + more, in which the piece is there twice, the left one merges
  // first.
  bool RightsFollow(std::string_view piece, std::string_view left, std::string_view right,
                    int32_t rank) const {
    if (left == right || !piece.starts_with(right)) return true;
    const int32_t other = ranks_.Find(Cat(right, " ", piece.substr(right.size())));
    return other < 0 || rank < other;
  }

  const TokenizerSpec& spec_;
  TextIndex pieces_, ranks_;
};

}  // namespace

bool ScoresSayMerges(const TokenizerSpec& spec) { return Checker(spec).Agrees(); }

}  // namespace retort
