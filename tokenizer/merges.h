// SPDX-License-Identifier: Apache-2.0
// The loop of byte-pair encoding: merge the pair with the best rank (of equal ones the leftmost)
// until no adjacent pair has a merge (Sennrich et al., arXiv 1508.07909).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/seeded_hash.h"
#include "tokenizer/merge_queue.h"

namespace retort {

// (left id, right id) -> rank and merged id; open addressing, seeded hash, read-only once filled.
// Find() may be called with negative ids, for which there is no entry, but not with (-1, -1).
class MergeTable {
 public:
  struct Merge {
    uint64_t pair = kNone;
    int32_t rank = 0;
    int32_t id = 0;
  };
  void Reserve(size_t merges);
  // An existing pair gets the new rank and id. Ranks are not negative.
  void Put(int32_t left, int32_t right, int32_t rank, int32_t id);
  const Merge* Find(int32_t left, int32_t right) const {  // nullptr when absent
    const uint64_t pair = Key(left, right);
    for (size_t i = Slot(pair);; i = (i + 1) & mask_) {
      if (slots_[i].pair == pair) return &slots_[i];
      if (slots_[i].pair == kNone) return nullptr;
    }
  }
  // All ranks are below.
  size_t ranks() const { return ranks_; }

 private:
  static constexpr uint64_t kNone = ~uint64_t{0};
  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t Slot(uint64_t pair) const { return SeededHash(pair, key_) & mask_; }

  HashKey key_ = ProcessHashKey();
  std::vector<Merge> slots_ = std::vector<Merge>(1);
  size_t mask_ = 0, ranks_ = 0;
};

// Workspace of MergeAll(); one per thread.
struct MergeScratch {
  struct Symbol {
    int32_t id, previous, next;  // neighbours' indices, -1 at the ends
    int32_t rank, merged;        // of the merge with the next symbol; rank -1: none
  };
  std::vector<Symbol> symbols;
  MergeQueue queue;
};

// Merges the symbols of one word in place. O(n log n) for n symbols, and nearly O(n) where few
// ranks take part.
void MergeAll(const MergeTable& merges, MergeScratch* scratch, std::vector<int32_t>* symbols);

}  // namespace retort
