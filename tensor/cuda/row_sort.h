// SPDX-License-Identifier: Apache-2.0
// Sorts a row in global memory by one block: a radix sort of four passes over 8 bits each. Stable,
// and hence the same in every run.
//
// A warp owns a part of the row. It counts its digits, the block turns the counts into places, and
// the warp moves its items there, 32 neighbours at a time; no barrier stands in either loop. Lanes
// with the same digit find each other by votes. Bound by the latency of these.
#pragma once

#include "tensor/cuda/reduce.h"

namespace retort::cuda {

inline constexpr int kSortThreads = 1024, kSortWarps = kSortThreads / kWarp;
inline constexpr int kDigitBits = 8, kDigits = 1 << kDigitBits, kSortPasses = 32 / kDigitBits;
inline constexpr int kSortCounts = kSortWarps * kDigits;

// Items are values, and their ids if they are kept.
struct SortItems {
  Global<float> value;
  Global<int32_t> id;
};
enum class SortIds : uint8_t {
  kNone,    // values alone
  kPlaces,  // an item's id is its place in the row that is read
  kGiven,
};

// The shared memory of a sort.
struct SortScratch {
  Shared<uint32_t> counts;  // kSortCounts, of each warp
  Shared<uint32_t> totals;  // kDigits
};

// Ascending integers for descending values; 0 and -0 are equal, NaN of positive sign is first.
__device__ inline uint32_t SortKey(float value) {
  const uint32_t bits = BitsOf(value + 0.0f);
  return bits >> 31 ? bits : ~(bits | 0x80000000u);
}
__device__ inline int DigitOf(float value, int pass) {
  return static_cast<int>(SortKey(value) >> (pass * kDigitBits) & (kDigits - 1));
}

// The lanes that are active and have this lane's digit.
__device__ inline uint32_t LanesWith(int digit, bool active) {
  uint32_t lanes = __ballot_sync(kAllLanes, active);
  for (int bit = 0; bit < kDigitBits; ++bit) {
    const bool set = (digit >> bit & 1) != 0;
    const uint32_t votes = __ballot_sync(kAllLanes, set);
    lanes &= set ? votes : ~votes;
  }
  return lanes;
}

// Calls item(i, value, digit, active, lanes) for the warp's part of the row, 32 items at a time;
// `lanes` are the active ones with this lane's digit.
template <class Item>
__device__ inline void ForWarpItems(Global<const float> row, int64_t n, int pass,
                                    const Item& item) {
  const int64_t lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t part = (n + kSortThreads - 1) / kSortThreads * kWarp;
  const int64_t end = (warp + 1) * part < n ? (warp + 1) * part : n;
  for (int64_t first = warp * part; first < end; first += kWarp) {
    const int64_t i = first + lane;
    const bool active = i < end;
    float value = 0;
    if (active) value = row[i];
    const int digit = DigitOf(value, pass);
    item(i, value, digit, active, LanesWith(digit, active));
  }
}

// Turns the counts of every warp into the place of its first item of each digit.
__device__ inline void PlacesOfCounts(const SortScratch& scratch) {
  const int digit = static_cast<int>(threadIdx.x);
  if (digit < kDigits) {
    uint32_t total = 0;
    for (int warp = 0; warp < kSortWarps; ++warp) {
      const uint32_t count = scratch.counts[warp * kDigits + digit];
      scratch.counts[warp * kDigits + digit] = total;
      total += count;
    }
    scratch.totals[digit] = total;
  }
  __syncthreads();
  if (digit < kDigits) {
    uint32_t before = 0;
    for (int smaller = 0; smaller < digit; ++smaller) before += scratch.totals[smaller];
    for (int warp = 0; warp < kSortWarps; ++warp) scratch.counts[warp * kDigits + digit] += before;
  }
  __syncthreads();
}

// One pass, from one row to another. All of a block's kSortThreads threads call it; the items are
// in their places when it returns. The first lane with a digit keeps the warp's count of it.
__device__ inline void SortPass(const SortItems& from, const SortItems& to, SortIds ids, int64_t n,
                                int pass, const SortScratch& scratch) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const uint32_t before = (uint32_t{1} << lane) - 1;  // the lanes before this one
  const Shared<uint32_t> counts = scratch.counts + threadIdx.x / kWarp * kDigits;
  for (int digit = lane; digit < kDigits; digit += kWarp) counts[digit] = 0;
  __syncwarp();
  ForWarpItems(from.value, n, pass, [&](int64_t, float, int digit, bool active, uint32_t lanes) {
    if (active && (lanes & before) == 0) counts[digit] += CountBits(lanes);
    __syncwarp();
  });
  __syncthreads();
  PlacesOfCounts(scratch);
  ForWarpItems(from.value, n, pass,
               [&](int64_t i, float value, int digit, bool active, uint32_t lanes) {
                 uint32_t place = 0;
                 if (active && (lanes & before) == 0) {
                   place = counts[digit];
                   counts[digit] = place + CountBits(lanes);
                 }
                 place = __shfl_sync(kAllLanes, place, CountBits((lanes & -lanes) - 1));
                 __syncwarp();
                 if (!active) return;
                 place += CountBits(lanes & before);
                 to.value[place] = value;
                 if (ids == SortIds::kPlaces) to.id[place] = static_cast<int32_t>(i);
                 if (ids == SortIds::kGiven) {
                   const int32_t id = from.id[i];
                   to.id[place] = id;
                 }
               });
  __syncthreads();
}

}  // namespace retort::cuda
