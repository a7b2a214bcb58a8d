// SPDX-License-Identifier: Apache-2.0
#include "data/packed_sequences.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/random.h"
#include "tests/data/support.h"

namespace retort {
namespace {

using Sequences = std::vector<std::vector<uint32_t>>;

Sequences ListOf(const PackedSequences& packed) {
  Sequences out;
  for (int64_t s = 0; s < packed.size(); ++s) out.emplace_back(packed[s].begin(), packed[s].end());
  return out;
}

Sequences Pack(const std::vector<int64_t>& lengths, int64_t max_tokens) {
  return ListOf(PackRows(
      lengths.size(), [&](uint32_t place) { return lengths[place]; }, max_tokens));
}

Sequences Cut(const std::vector<int64_t>& lengths, int64_t batch_tokens) {
  return ListOf(CutByTokens(
      lengths.size(), [&](uint32_t place) { return lengths[place]; }, batch_tokens));
}

TEST(CutByTokens, FillsEachBatchInOrderAndLetsALongRowStandAlone) {
  EXPECT_EQ(Cut({4, 3, 3, 20, 1, 9, 10}, 10), (Sequences{{0, 1, 2}, {3}, {4, 5}, {6}}));
  EXPECT_EQ(Cut({10, 9, 1}, 10), (Sequences{{0}, {1, 2}}));
  EXPECT_TRUE(Cut({}, 10).empty());
}

TEST(PackRows, EveryRowOnceNothingOverflowsAndLittleRoomIsLeft) {
  RandomStream random(MakeKey(7, RandomUse::kData));
  std::vector<int64_t> lengths(1000);
  for (int64_t& length : lengths) length = static_cast<int64_t>(1 + random.Below(64));
  const int64_t total = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  std::vector<int64_t> seen;
  const Sequences sequences = Pack(lengths, 100);
  for (const std::vector<uint32_t>& sequence : sequences) {
    int64_t tokens = 0;
    for (const uint32_t row : sequence) {
      tokens += lengths[row];
      seen.push_back(row);
    }
    EXPECT_LE(tokens, 100);
    EXPECT_GT(tokens, 0);
  }
  std::ranges::sort(seen);
  EXPECT_TRUE(seen == CountTo(1000));
  EXPECT_LT(sequences.size() * 100, total * 1.06);
}

TEST(PackRows, BestFit) {
  // 6 opens A; 5 opens B; 3 goes into A (4 left there, 5 in B); 5 fills B.
  EXPECT_EQ(Pack({6, 5, 3, 5}, 10), (Sequences{{0, 2}, {1, 3}}));
  EXPECT_EQ(Pack({10, 10}, 10), (Sequences{{0}, {1}}));
}

TEST(PackRows, WhatIsTooLongStandsAlone) {
  EXPECT_EQ(Pack({3, 12, 4, 3}, 10), (Sequences{{0, 2, 3}, {1}}));
}

TEST(PackRows, OrderIsKeptButForANeighbourhood) {
  uint32_t next = 0;
  for (const std::vector<uint32_t>& sequence : Pack(std::vector<int64_t>(5000, 30), 100)) {
    for (const uint32_t row : sequence) EXPECT_EQ(row, next++);
  }
}

}  // namespace
}  // namespace retort
