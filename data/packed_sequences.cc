// SPDX-License-Identifier: Apache-2.0
#include "data/packed_sequences.h"

#include <algorithm>
#include <numeric>

namespace retort {
namespace {

constexpr size_t kOpenSequences = 64;

}  // namespace

PackedSequences::PackedSequences(const std::vector<uint32_t>& of, size_t count)
    : places_(of.size()), begins_(count + 1) {
  // begins_[s + 1] is first how many the sequence has, then where its next place goes.
  for (const uint32_t sequence : of) ++begins_[sequence + 1];
  std::partial_sum(begins_.begin(), begins_.end(), begins_.begin());
  for (size_t place = of.size(); place-- > 0;)
    places_[--begins_[of[place] + 1]] = static_cast<uint32_t>(place);
  std::shift_left(begins_.begin(), begins_.end(), 1);
  begins_.back() = static_cast<uint32_t>(of.size());
}

std::span<const uint32_t> PackedSequences::operator[](int64_t i) const {
  const auto s = static_cast<size_t>(i);
  return std::span(places_).subspan(begins_.at(s), begins_.at(s + 1) - begins_[s]);
}

PackedSequences PackRows(size_t places, const LengthAt& length, int64_t max_tokens) {
  std::vector<uint32_t> of(places);
  std::vector<int64_t> room;  // of the open sequences, by number modulo their count
  size_t count = 0;
  for (uint32_t place = 0; place < places; ++place) {
    const int64_t tokens = length(place);
    size_t best = count;
    for (size_t s = count - std::min(count, kOpenSequences); s < count; ++s) {
      const int64_t left = room[s % kOpenSequences];
      if (left >= tokens && (best == count || left < room[best % kOpenSequences])) best = s;
    }
    if (best == count) {
      if (count < kOpenSequences) room.push_back(0);
      room[count++ % kOpenSequences] = max_tokens;
    }
    of[place] = static_cast<uint32_t>(best);
    room[best % kOpenSequences] -= tokens;
  }
  return {of, count};
}

PackedSequences CutByTokens(size_t places, const LengthAt& length, int64_t batch_tokens) {
  std::vector<uint32_t> of(places);
  size_t count = 0;
  int64_t room = 0;
  for (uint32_t place = 0; place < places; ++place) {
    const int64_t tokens = length(place);
    if (count == 0 || tokens > room) {
      ++count;
      room = batch_tokens;
    }
    of[place] = static_cast<uint32_t>(count - 1);
    room -= tokens;
  }
  return {of, count};
}

}  // namespace retort
