// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/unigram.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/seeded_hash.h"
#include "base/text.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr double kUnknownPenalty = 10;  // below the lowest score

// A score as the library has it: it reads the digits of a number as an integer and divides once,
// which may be the neighbour of the double that is meant.
double AsTheLibraryReads(double score) {
  char text[32];
  const auto end =
      std::to_chars(text, text + sizeof text, std::abs(score), std::chars_format::scientific);
  uint64_t digits = 0;
  int exponent = 0, behind_point = 0;
  bool point = false;
  const char* at = text;
  for (; at != end.ptr && *at != 'e'; ++at) {
    if (*at == '.') {
      point = true;
      continue;
    }
    digits = digits * 10 + static_cast<uint64_t>(*at - '0');
    behind_point += point;
  }
  if (at != end.ptr) std::from_chars(at[1] == '+' ? at + 2 : at + 1, end.ptr, exponent);
  exponent -= behind_point;
  constexpr int kExact = 22;  // powers of ten that are doubles
  if (std::abs(exponent) > kExact) return score;
  const double power = std::pow(10.0, std::abs(exponent));
  const auto value = static_cast<double>(digits);
  return std::copysign(exponent < 0 ? value / power : value * power, score);
}

std::unordered_set<int32_t> SpecialIds(const TokenizerSpec& spec) {
  std::unordered_set<int32_t> ids;
  for (const TokenizerSpec::AddedToken& token : spec.added) {
    if (token.special) ids.insert(token.id);
  }
  return ids;
}

}  // namespace

UnigramModel::UnigramModel(const TokenizerSpec& spec, const std::string& where)
    : where_(where), byte_fallback_(spec.byte_fallback), unk_(spec.unk) {
  byte_ids_.fill(-1);
  const std::unordered_set<int32_t> special = SpecialIds(spec);
  double lowest = std::numeric_limits<double>::infinity();
  std::unordered_map<std::string_view, size_t, SeededTextHash> places;  // in pieces_
  std::vector<std::string_view> texts;
  for (int32_t id = 0; id < spec.model_pieces; ++id) {
    const TokenizerSpec::Piece& piece = spec.pieces[static_cast<size_t>(id)];
    const double score = AsTheLibraryReads(piece.score);
    lowest = std::min(lowest, score);
    if (special.contains(id) || piece.text.empty()) continue;
    if (const int byte = BytePiece(piece.text); byte >= 0) byte_ids_[byte] = id;
    const auto [place, is_new] = places.emplace(piece.text, pieces_.size());
    if (is_new) pieces_.emplace_back(), texts.push_back(piece.text);
    pieces_[place->second] = {id, piece.text.size(), score};  // of equal texts the last one
    longest_ = std::max(longest_, piece.text.size());
  }
  unk_score_ = lowest - kUnknownPenalty;
  table_ = PrefixTable(texts, where, "piece");
}

void UnigramModel::FindBest(std::string_view word, Scratch* scratch) const {
  std::vector<Scratch::Step>& best = scratch->best;
  best.assign(word.size() + 1, {});
  const auto offer = [&](size_t begin, size_t end, int32_t id, double score) {
    const double whole = best[begin].score + score;
    if (best[end].begin == Scratch::kNowhere || whole > best[end].score)
      best[end] = {whole, begin, id};
  };
  for (size_t at = 0; at < word.size();) {
    const auto character = static_cast<size_t>(DecodeUtf8(word, at).size);
    bool known = false;
    for (int32_t entry = table_.Longest(word, at); entry >= 0; entry = table_.Shorter(entry)) {
      const Piece& piece = pieces_[table_.IndexOf(entry)];
      offer(at, at + piece.size, piece.id, piece.score);
      known |= piece.size == character;
    }
    if (!known) {
      if (unk_ < 0)
        throw InputError(where_, ": the tokenizer has neither a piece for ",
                         Quoted(word.substr(at, character)), " nor an unknown token");
      offer(at, at + character, unk_, unk_score_);
    }
    at += character;
  }
}

void UnigramModel::PutUnknown(std::string_view text, std::vector<int32_t>* ids) const {
  const auto id_of = [&](char c) { return byte_ids_[static_cast<uint8_t>(c)]; };
  if (byte_fallback_ && std::ranges::all_of(text, [&](char c) { return id_of(c) >= 0; })) {
    for (const char c : text) ids->push_back(id_of(c));
  } else {
    ids->push_back(unk_);
  }
}

void UnigramModel::Encode(std::string_view word, Scratch* scratch,
                          std::vector<int32_t>* ids) const {
  FindBest(word, scratch);
  std::vector<size_t>& ends = scratch->ends;
  ends.clear();
  for (size_t end = word.size(); end > 0; end = scratch->best[end].begin) ends.push_back(end);
  size_t unknown = Scratch::kNowhere;  // where a run of unknown characters begins
  for (auto end = ends.rbegin(); end != ends.rend(); ++end) {
    const Scratch::Step& step = scratch->best[*end];
    const bool is_unknown = step.id == unk_;
    if (is_unknown && unknown == Scratch::kNowhere) unknown = step.begin;
    if (!is_unknown) ids->push_back(step.id);
    const bool last = std::next(end) == ends.rend() || scratch->best[*std::next(end)].id != unk_;
    if (!is_unknown || !last) continue;
    PutUnknown(word.substr(unknown, *end - unknown), ids);
    unknown = Scratch::kNowhere;
  }
}

size_t UnigramModel::BytesPerToken() const {
  const bool bytes = std::ranges::all_of(byte_ids_, [](int32_t id) { return id >= 0; });
  return byte_fallback_ && bytes ? longest_ : 0;
}

}  // namespace retort
