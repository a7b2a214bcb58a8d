// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer/bpe.h"

#include <algorithm>

#include "base/error.h"
#include "data/tokenizer/utf8.h"

namespace retort {
namespace {

using Candidate = BpeModel::Scratch::Candidate;
using PieceType = TokenizerSpec::PieceType;

// A heap of this order has the best candidate at its front.
bool Worse(const Candidate& a, const Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.place > b.place;
}

void PutSymbol(int32_t id, BpeModel::Scratch* scratch) {
  const auto place = static_cast<int32_t>(scratch->symbols.size());
  if (place > 0) scratch->symbols.back().next = place;
  scratch->symbols.push_back({id, place - 1, -1});
}

}  // namespace

void MergeTable::Reserve(size_t merges) {
  size_t slots = 16;
  while (slots < merges + merges / 2) slots *= 2;
  slots_.assign(slots, Merge{});
  mask_ = slots - 1;
}

void MergeTable::Put(int32_t left, int32_t right, int32_t rank, int32_t id) {
  const uint64_t pair = Key(left, right);
  size_t i = Slot(pair);
  while (slots_[i].pair != kNone && slots_[i].pair != pair) i = (i + 1) & mask_;
  slots_[i] = {pair, rank, id};
}

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
    const int byte =
        byte_level_ ? (text.size() == 1 ? static_cast<uint8_t>(text[0]) : -1) : BytePiece(text);
    if (byte >= 0 && byte_ids_[byte] < 0) byte_ids_[byte] = id;
  }
  AddMerges(spec, where);
}

void BpeModel::AddMerges(const TokenizerSpec& spec, const std::string& where) {
  TextIndex spelt;
  spelt.Reserve(spec.pieces.size());
  for (size_t i = 0; i < spec.pieces.size(); ++i) {
    spelt.Put(spec.pieces[i].text, static_cast<int32_t>(i));
  }
  merges_.Reserve(spec.merges.size());
  std::string whole;
  for (size_t rank = 0; rank < spec.merges.size(); ++rank) {
    const std::string_view merge = spec.merges[rank];
    // A piece may itself hold a space: of the ways to cut, the one whose parts are pieces counts.
    int32_t left = -1, right = -1, id = -1;
    for (size_t cut = merge.find(' '); cut != merge.npos && id < 0;
         cut = merge.find(' ', cut + 1)) {
      left = spelt.Find(merge.substr(0, cut));
      right = spelt.Find(merge.substr(cut + 1));
      whole.assign(merge.substr(0, cut)).append(merge.substr(cut + 1));
      id = left < 0 || right < 0 ? -1 : spelt.Find(whole);
    }
    if (id < 0) {
      throw InputError(where, ": merge ", rank, " '", merge,
                       "' does not join two pieces of the vocabulary into a third");
    }
    if (spec.pieces[id].type == PieceType::kControl)
      continue;  // text never becomes a control token
    merges_.Put(left, right, static_cast<int32_t>(rank), id);
  }
}

void BpeModel::StartBytes(std::string_view word, Scratch* scratch) const {
  bool fused = false;
  for (const char c : word) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(c)];
    if (id >= 0) {
      PutSymbol(id, scratch);
    } else if (unk_ >= 0 && !(fused && options_.fuse_unk)) {
      PutSymbol(unk_, scratch);
    }
    fused = id < 0;
  }
}

bool BpeModel::PutBytes(std::string_view character, Scratch* scratch) const {
  const auto has = [&](char c) { return byte_ids_[static_cast<uint8_t>(c)] >= 0; };
  if (!options_.byte_fallback || !std::all_of(character.begin(), character.end(), has))
    return false;
  for (const char c : character) PutSymbol(byte_ids_[static_cast<uint8_t>(c)], scratch);
  return true;
}

void BpeModel::StartCharacters(std::string_view word, Scratch* scratch) const {
  bool fused = false;
  for (size_t pos = 0; pos < word.size();) {
    const std::string_view character = word.substr(pos, DecodeUtf8(word, pos).size);
    pos += character.size();
    const int32_t id = ids_.Find(character);
    if (id >= 0) {
      PutSymbol(id, scratch);
      fused = false;
    } else if (PutBytes(character, scratch)) {
      fused = false;
    } else {
      if (unk_ >= 0 && !(fused && options_.fuse_unk)) PutSymbol(unk_, scratch);
      fused = true;
    }
  }
}

void BpeModel::Merge(Scratch* scratch) const {
  auto& symbols = scratch->symbols;
  auto& heap = scratch->heap;
  heap.clear();
  const auto consider = [&](int32_t place) {
    const int32_t left = symbols[place].id, right = symbols[symbols[place].next].id;
    const MergeTable::Merge* merge = merges_.Find(left, right);
    if (merge) heap.push_back({merge->rank, place, left, right, merge->id});
    return merge != nullptr;
  };
  for (size_t i = 0; i + 1 < symbols.size(); ++i) consider(static_cast<int32_t>(i));
  std::make_heap(heap.begin(), heap.end(), Worse);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), Worse);
    const Candidate best = heap.back();
    heap.pop_back();
    auto& left = symbols[best.place];
    // A candidate whose symbols have merged with others since is stale.
    if (left.id != best.left || left.next < 0 || symbols[left.next].id != best.right) continue;
    auto& right = symbols[left.next];
    left.id = best.id;
    right.id = -1;
    left.next = right.next;
    if (left.next >= 0) symbols[left.next].previous = best.place;
    if (left.previous >= 0 && consider(left.previous))
      std::push_heap(heap.begin(), heap.end(), Worse);
    if (left.next >= 0 && consider(best.place)) std::push_heap(heap.begin(), heap.end(), Worse);
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
  if (scratch->symbols.empty()) return;
  Merge(scratch);
  for (int32_t i = 0; i >= 0; i = scratch->symbols[i].next) ids->push_back(scratch->symbols[i].id);
}

}  // namespace retort
