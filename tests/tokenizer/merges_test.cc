// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/merges.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace retort {
namespace {

using Ids = std::vector<int32_t>;

class Random {
 public:
  int32_t Below(uint32_t n) {
    return static_cast<int32_t>((state_ = state_ * 1664525 + 1013904223) / 65536 % n);
  }

 private:
  uint32_t state_ = 1;
};

// As the rule says: look through all pairs for the best each time.
Ids MergedByHand(const MergeTable& merges, Ids ids) {
  for (;;) {
    const MergeTable::Merge* best = nullptr;
    size_t place = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const MergeTable::Merge* merge = merges.Find(ids[i], ids[i + 1]);
      if (merge && (!best || merge->rank < best->rank)) best = merge, place = i;
    }
    if (!best) return ids;
    ids[place] = best->id;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
}

// Merges in any order: a merge may make a pair that is better than itself, or as good.
TEST(MergeAll, FollowsTheRuleOnMadeUpMerges) {
  Random random;
  MergeScratch scratch;
  for (int round = 0; round < 3000; ++round) {
    const int32_t letters = 1 + random.Below(4), ids = letters + random.Below(30);
    MergeTable merges;
    merges.Reserve(80);
    for (int i = random.Below(80); i > 0; --i) {
      merges.Put(random.Below(static_cast<uint32_t>(ids)), random.Below(static_cast<uint32_t>(ids)),
                 random.Below(round % 2 ? 5 : 1000),
                 letters + random.Below(static_cast<uint32_t>(ids)));
    }
    Ids word;
    for (int i = random.Below(round % 3 ? 60 : 300); i > 0; --i)
      word.push_back(random.Below(static_cast<uint32_t>(letters)));
    const Ids want = MergedByHand(merges, word);
    MergeAll(merges, &scratch, &word);
    ASSERT_EQ(word, want) << round;
  }
}

TEST(MergeQueue, GivesRanksThenPlacesInOrder) {
  Random random;
  MergeQueue queue;
  for (int round = 0; round < 300; ++round) {
    queue.Reset(20);  // also of what the round before has left
    std::vector<std::pair<int32_t, int32_t>> all;
    int32_t rank = 0, place = 0;
    for (int step = random.Below(400); step > 0; --step) {
      if (random.Below(3)) {
        all.emplace_back(random.Below(20), random.Below(1000));
        queue.Put(all.back().first, all.back().second);
      } else {
        ASSERT_EQ(queue.Take(&rank, &place), !all.empty());
        if (all.empty()) continue;
        const auto best = std::min_element(all.begin(), all.end());
        ASSERT_EQ(std::pair(rank, place), *best);
        all.erase(best);
      }
    }
  }
}

}  // namespace
}  // namespace retort
