// SPDX-License-Identifier: Apache-2.0
// Which rows are computed together: sequences of groups (data/packing.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace retort {

// Sequences of places in an order of groups, one after the other. A place takes four bytes, so that
// millions of rows need little memory.
class PackedSequences {
 public:
  PackedSequences() = default;
  // of[place]: the sequence that the place belongs to, each below `count`.
  PackedSequences(const std::vector<uint32_t>& of, size_t count);

  int64_t size() const { return std::ssize(begins_) - 1; }
  std::span<const uint32_t> operator[](int64_t i) const;

 private:
  std::vector<uint32_t> places_;
  std::vector<uint32_t> begins_ = {0};
};

// The number of tokens at a place of the order: of all rows of its group.
using LengthAt = std::function<int64_t(uint32_t place)>;

// Best fit over the last few open sequences, in the order given: each group goes into the fitting
// sequence with the least room left, or opens a new one. Sequences are ordered by their first
// groups, so the order of the data (shuffled or not) changes only locally. A group longer than
// max_tokens gets a sequence of its own.
PackedSequences PackRows(size_t places, const LengthAt& length, int64_t max_tokens);

// Splits the order into consecutive sequences of as many groups as fit into batch_tokens tokens; a
// longer group gets a sequence of its own.
PackedSequences CutByTokens(size_t places, const LengthAt& length, int64_t batch_tokens);

}  // namespace retort
