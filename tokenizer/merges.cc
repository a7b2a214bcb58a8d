// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/merges.h"

#include <algorithm>
#include <array>
#include <limits>

namespace retort {
namespace {

using Symbol = MergeScratch::Symbol;
using Merge = MergeTable::Merge;

// Up to this many symbols, scanning all pairs each time is faster than a heap.
constexpr size_t kShort = 24;

void MergeShort(const MergeTable& merges, std::vector<int32_t>* symbols) {
  static constexpr int32_t kNever = std::numeric_limits<int32_t>::max();
  struct Pair {
    int32_t rank, id;
  };
  std::array<Pair, kShort> pairs;  // [i]: of symbols i and i + 1
  std::vector<int32_t>& ids = *symbols;
  const auto look = [&](size_t i) {
    const Merge* merge = merges.Find(ids[i], ids[i + 1]);
    pairs[i] = merge ? Pair{merge->rank, merge->id} : Pair{kNever, 0};
  };
  size_t count = ids.size() - 1;  // of pairs
  for (size_t i = 0; i < count; ++i) look(i);
  while (count > 0) {
    size_t best = 0;
    for (size_t i = 1; i < count; ++i) best = pairs[i].rank < pairs[best].rank ? i : best;
    if (pairs[best].rank == kNever) break;
    ids[best] = pairs[best].id;
    for (size_t i = best + 1; i < count; ++i) ids[i] = ids[i + 1], pairs[i - 1] = pairs[i];
    --count;
    if (best > 0) look(best - 1);
    if (best < count) look(best);
  }
  ids.resize(count + 1);
}

void MergeLong(const MergeTable& merges, MergeScratch* scratch, std::vector<int32_t>* ids) {
  auto& symbols = scratch->symbols;
  MergeQueue& queue = scratch->queue;
  const auto size = static_cast<int32_t>(ids->size());
  queue.Reset(merges.ranks());
  symbols.clear();
  for (int32_t i = 0; i < size; ++i)
    symbols.push_back({(*ids)[i], i - 1, i + 1 < size ? i + 1 : -1, -1, -1});
  const auto consider = [&](int32_t place) {
    Symbol& left = symbols[place];
    const Merge* merge = merges.Find(left.id, symbols[left.next].id);
    left.rank = merge ? merge->rank : -1;
    if (!merge) return;
    left.merged = merge->id;
    queue.Put(merge->rank, place);
  };
  for (int32_t i = 0; i + 1 < size; ++i) consider(i);
  for (int32_t rank, place; queue.Take(&rank, &place);) {
    Symbol& left = symbols[place];
    if (left.rank != rank) continue;  // one of the pair has since merged with another
    Symbol& right = symbols[left.next];
    left.id = left.merged;
    left.next = right.next;
    left.rank = right.rank = -1;
    if (left.next >= 0) symbols[left.next].previous = place;
    if (left.previous >= 0) consider(left.previous);
    if (left.next >= 0) consider(place);
  }
  ids->clear();
  for (int32_t i = 0; i >= 0; i = symbols[i].next) ids->push_back(symbols[i].id);
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
  ranks_ = std::max(ranks_, static_cast<size_t>(rank) + 1);
}

void MergeAll(const MergeTable& merges, MergeScratch* scratch, std::vector<int32_t>* symbols) {
  if (symbols->size() < 2) return;
  if (symbols->size() <= kShort) {
    MergeShort(merges, symbols);
  } else {
    MergeLong(merges, scratch, symbols);
  }
}

}  // namespace retort
