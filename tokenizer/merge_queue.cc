// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/merge_queue.h"

#include <algorithm>
#include <functional>

namespace retort {
namespace {

// A list of places that has grown beyond this is given back when its rank is done.
constexpr size_t kKeptPlaces = 4096;

constexpr std::greater<> kSmallestFirst;

}  // namespace

void MergeQueue::Reset(size_t ranks) {
  while (!ranks_.empty()) Close(ranks_.front());
  if (by_rank_.size() < ranks) by_rank_.resize(ranks, -1);
}

void MergeQueue::Put(int32_t rank, int32_t place) {
  int32_t& index = by_rank_[static_cast<size_t>(rank)];
  if (index < 0) {
    if (free_.empty()) {
      free_.push_back(static_cast<int32_t>(places_.size()));
      places_.emplace_back();
    }
    index = free_.back();
    free_.pop_back();
    ranks_.push_back(rank);
    std::push_heap(ranks_.begin(), ranks_.end(), kSmallestFirst);
  }
  Places& places = places_[static_cast<size_t>(index)];
  if (!places.begun) return places.early.push_back(place);
  places.late.push_back(place);
  std::push_heap(places.late.begin(), places.late.end(), kSmallestFirst);
}

bool MergeQueue::Take(int32_t* rank, int32_t* place) {
  while (!ranks_.empty()) {
    *rank = ranks_.front();
    Places& places = places_[static_cast<size_t>(by_rank_[static_cast<size_t>(*rank)])];
    if (!places.begun) {
      places.begun = true;
      if (!std::is_sorted(places.early.begin(), places.early.end()))
        std::sort(places.early.begin(), places.early.end());
    }
    const bool early = places.taken < places.early.size();
    if (early && (places.late.empty() || places.early[places.taken] <= places.late.front())) {
      *place = places.early[places.taken++];
      return true;
    }
    if (!places.late.empty()) {
      std::pop_heap(places.late.begin(), places.late.end(), kSmallestFirst);
      *place = places.late.back();
      places.late.pop_back();
      return true;
    }
    Close(*rank);
  }
  return false;
}

// `rank` is the smallest.
void MergeQueue::Close(int32_t rank) {
  int32_t& index = by_rank_[static_cast<size_t>(rank)];
  Places& places = places_[static_cast<size_t>(index)];
  if (places.early.capacity() + places.late.capacity() > kKeptPlaces) places = {};
  places.early.clear();
  places.late.clear();
  places.taken = 0;
  places.begun = false;
  free_.push_back(index);
  index = -1;
  std::pop_heap(ranks_.begin(), ranks_.end(), kSmallestFirst);
  ranks_.pop_back();
}

}  // namespace retort
