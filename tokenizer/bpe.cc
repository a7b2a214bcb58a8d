// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/bpe.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "base/work_budget.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

using PieceType = TokenizerSpec::PieceType;

// Bytes that may be looked up to find where merges with several spaces are to be cut: so many for
// all files, and so many for each byte of the merges. Real files need two or three a byte.
constexpr uint64_t kLookUps = 1 << 26, kLookUpsPerByte = 64;

WorkBudget LookUpsOf(const std::vector<std::string>& merges) {
  uint64_t bytes = 0;
  for (const std::string& merge : merges) bytes += merge.size();
  return WorkBudget(kLookUps + kLookUpsPerByte * bytes);
}

}  // namespace

BpeModel::BpeModel(const TokenizerSpec& spec, const std::vector<std::string>& spoken,
                   BpeOptions options, const std::string& where)
    : options_(options), byte_level_(spec.byte_level), unk_(spec.unk) {
  byte_ids_.fill(-1);
  ids_.Reserve(spec.pieces.size());
  for (size_t i = 0; i < spec.pieces.size(); ++i) {
    const TokenizerSpec::Piece& piece = spec.pieces[i];
    if (piece.type == PieceType::kControl || piece.type == PieceType::kUnknown) continue;
    const std::string& text = byte_level_ ? spoken[i] : piece.text;
    const auto id = static_cast<int32_t>(i);
    ids_.Put(text, id);
    longest_ = std::max(longest_, text.size());
    const int byte =
        byte_level_ ? (text.size() == 1 ? static_cast<uint8_t>(text[0]) : -1) : BytePiece(text);
    if (byte >= 0 && byte_ids_[byte] < 0) byte_ids_[byte] = id;
  }
  AddMerges(spec, where);
}

void BpeModel::AddMerges(const TokenizerSpec& spec, const std::string& where) {
  TextIndex spelt;
  spelt.Reserve(spec.pieces.size());
  size_t longest = 0;
  for (size_t i = 0; i < spec.pieces.size(); ++i) {
    spelt.Put(spec.pieces[i].text, static_cast<int32_t>(i));
    longest = std::max(longest, spec.pieces[i].text.size());
  }
  merges_.Reserve(spec.merges.size());
  WorkBudget look_ups = LookUpsOf(spec.merges);
  std::string whole;
  for (size_t rank = 0; rank < spec.merges.size(); ++rank) {
    const std::string_view merge = spec.merges[rank];
    // A piece may itself contain a space: split at the one where both parts are pieces.
    int32_t left = -1, right = -1, id = -1;
    for (size_t cut = merge.size() <= longest + 1 ? merge.find(' ') : merge.npos;
         cut != merge.npos && id < 0; cut = merge.find(' ', cut + 1)) {
      if (!look_ups.Take(merge.size())) {
        throw InputError(where, ": merge ", rank, " ", Quoted(merge), " of ", merge.size(),
                         " bytes has too many spaces at which it could be cut");
      }
      left = spelt.Find(merge.substr(0, cut));
      right = left < 0 ? -1 : spelt.Find(merge.substr(cut + 1));
      if (right < 0) continue;
      whole.assign(merge.substr(0, cut)).append(merge.substr(cut + 1));
      id = spelt.Find(whole);
    }
    if (id < 0) {
      throw InputError(where, ": merge ", rank, " ", Quoted(merge),
                       " does not join two pieces of the vocabulary into a third");
    }
    if (spec.pieces[id].type == PieceType::kControl)
      continue;  // text never produces a control token
    merges_.Put(left, right, static_cast<int32_t>(rank), id);
  }
}

void BpeModel::StartBytes(std::string_view word, Scratch* scratch) const {
  bool fused = false;
  for (const char c : word) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(c)];
    if (id >= 0) {
      scratch->symbols.push_back(id);
    } else if (unk_ >= 0 && !(fused && options_.fuse_unk)) {
      scratch->symbols.push_back(unk_);
    }
    fused = id < 0;
  }
}

bool BpeModel::PutBytes(std::string_view character, Scratch* scratch) const {
  const auto has = [&](char c) { return byte_ids_[static_cast<uint8_t>(c)] >= 0; };
  if (!options_.byte_fallback || !std::all_of(character.begin(), character.end(), has))
    return false;
  for (const char c : character) scratch->symbols.push_back(byte_ids_[static_cast<uint8_t>(c)]);
  return true;
}

void BpeModel::StartCharacters(std::string_view word, Scratch* scratch) const {
  bool fused = false;
  for (size_t pos = 0; pos < word.size();) {
    const std::string_view character = word.substr(pos, DecodeUtf8(word, pos).size);
    pos += character.size();
    const int32_t id = ids_.Find(character);
    if (id >= 0) {
      scratch->symbols.push_back(id);
      fused = false;
    } else if (PutBytes(character, scratch)) {
      fused = false;
    } else {
      if (unk_ >= 0 && !(fused && options_.fuse_unk)) scratch->symbols.push_back(unk_);
      fused = true;
    }
  }
}

void BpeModel::Encode(std::string_view word, Scratch* scratch, std::vector<int32_t>* ids) const {
  if (options_.ignore_merges) {
    const int32_t whole = ids_.Find(word);
    if (whole >= 0) {
      ids->push_back(whole);
      return;
    }
  }
  scratch->symbols.clear();
  byte_level_ ? StartBytes(word, scratch) : StartCharacters(word, scratch);
  MergeAll(merges_, &scratch->merging, &scratch->symbols);
  ids->insert(ids->end(), scratch->symbols.begin(), scratch->symbols.end());
}

size_t BpeModel::BytesPerToken() const {
  const bool all_bytes = std::ranges::all_of(byte_ids_, [](int32_t id) { return id >= 0; });
  const bool spelt = all_bytes && (byte_level_ || options_.byte_fallback);
  return spelt || (unk_ >= 0 && !options_.fuse_unk) ? longest_ : 0;
}

}  // namespace retort
