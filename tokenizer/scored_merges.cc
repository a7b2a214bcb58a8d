// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/scored_merges.h"

#include <algorithm>

#include "base/strings.h"
#include "tokenizer/text_index.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

using PieceType = TokenizerSpec::PieceType;

// Cutting takes time quadratic in a piece's length. Real pieces are far below.
constexpr size_t kMaxCutBytes = 256;

bool IsCharacter(std::string_view text) {
  return static_cast<size_t>(DecodeUtf8(text, 0).size) == text.size();
}

bool IsWhole(std::string_view text) {
  return !text.empty() && ValidUtf8End(text, 0) == text.size();
}

// One character again and again, such as a run of spaces.
bool IsRun(std::string_view text) {
  const auto size = static_cast<size_t>(DecodeUtf8(text, 0).size);
  for (size_t at = size; at < text.size(); at += size) {
    if (text.substr(at, size) != text.substr(0, size)) return false;
  }
  return true;
}

// The places at which a piece can be cut into two others.
struct Cuts {
  std::vector<size_t> places;
  bool known = true;  // no part is a character without a piece
};
Cuts CutsOf(std::string_view piece, const TextIndex& pieces) {
  Cuts cuts;
  for (size_t cut = 0;;) {
    cut += static_cast<size_t>(DecodeUtf8(piece, cut).size);
    if (cut >= piece.size()) return cuts;
    const std::string_view left = piece.substr(0, cut), right = piece.substr(cut);
    const bool has_left = pieces.Find(left) >= 0, has_right = pieces.Find(right) >= 0;
    if ((!has_left && !IsCharacter(left)) || (!has_right && !IsCharacter(right))) continue;
    cuts.known &= has_left && has_right;
    cuts.places.push_back(cut);
  }
}

// In a text such as left + right + rest, in which a piece is there twice, the left one merges
// first: where `right` also begins the piece, the cut before it goes before the cut behind it.
void SortCuts(std::string_view piece, std::vector<size_t>* places) {
  const auto goes_first = [&](size_t cut) { return piece.starts_with(piece.substr(cut)); };
  std::ranges::sort(*places, std::greater<>());
  for (size_t& place : *places) {
    const size_t other = piece.size() - place;
    const auto at = std::ranges::find(*places, other);
    if (other < place && at != places->end() && goes_first(other) && !goes_first(place))
      std::swap(place, *at);
  }
}

}  // namespace

std::optional<std::vector<std::string>> MergesOfScores(const TokenizerSpec& spec) {
  TextIndex pieces;
  pieces.Reserve(spec.pieces.size());
  std::vector<int32_t> order;
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    const TokenizerSpec::Piece& piece = spec.pieces[id];
    if (piece.type != PieceType::kNormal) continue;
    if (!IsWhole(piece.text) || piece.text.size() > kMaxCutBytes) return std::nullopt;
    pieces.Put(piece.text, static_cast<int32_t>(id));
    order.push_back(static_cast<int32_t>(id));
  }
  const auto score = [&](int32_t id) { return spec.pieces[static_cast<size_t>(id)].score; };
  const auto text = [&](int32_t id) -> const std::string& {
    return spec.pieces[static_cast<size_t>(id)].text;
  };
  // Of runs with one score the longest first: like that the leftmost grows before the next begins.
  std::ranges::stable_sort(order, [&](int32_t a, int32_t b) {
    return score(a) != score(b) ? score(a) > score(b) : text(a).size() > text(b).size();
  });
  std::vector<std::string> merges;
  const TokenizerSpec::Piece* last = nullptr;
  for (const int32_t id : order) {
    const TokenizerSpec::Piece& piece = spec.pieces[static_cast<size_t>(id)];
    Cuts cuts = CutsOf(piece.text, pieces);
    if (cuts.places.empty()) continue;
    const bool tied = last && last->score == piece.score;
    if (!cuts.known || (tied && !(IsRun(last->text) && IsRun(piece.text)))) return std::nullopt;
    last = &piece;
    SortCuts(piece.text, &cuts.places);
    for (const size_t cut : cuts.places)
      merges.push_back(Cat(piece.text.substr(0, cut), " ", piece.text.substr(cut)));
  }
  return merges;
}

}  // namespace retort
