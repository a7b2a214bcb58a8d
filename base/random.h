// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011). A number depends on its key and counter alone. So a mask does not depend
// on how a batch is split, packed or recomputed, and a resumed run draws the same numbers as an
// uninterrupted one.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace retort {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

PhiloxCounter Philox(PhiloxCounter counter, PhiloxKey key);

// The purpose of a stream of numbers. It is part of the key, so that no two uses share numbers.
enum class RandomUse : uint32_t {
  kInit = 1,
  kShuffle = 2,
  kDropout = 3,
  kSample = 4,
  kData = 5,
  kNoise = 6
};

// A key made from a seed, a use and up to two more coordinates (a step and a row, a layer ...).
PhiloxKey MakeKey(uint64_t seed, RandomUse use, uint64_t a = 0, uint64_t b = 0);

// A coordinate for MakeKey made from a name: its 64-bit FNV-1a hash. With it, the numbers drawn for
// one object do not depend on how many others there are.
uint64_t NameKey(std::string_view name);

// The numbers of one key in sequence.
class RandomStream {
 public:
  explicit RandomStream(PhiloxKey key) : key_(key) {}
  uint32_t Next();
  double Uniform();            // [0, 1), 53 bits
  double Normal();             // mean 0, variance 1 (Box-Muller)
  uint64_t Below(uint64_t n);  // [0, n), unbiased; n > 0

 private:
  PhiloxKey key_;
  uint64_t block_ = 0;
  PhiloxCounter numbers_{};
  int used_ = 4;
};

// Fisher-Yates. What stood at place Permutation(n, key)[i] stands at place i afterwards.
void Shuffle(std::vector<uint32_t>& values, PhiloxKey key);
// The same over 0..n-1.
std::vector<int64_t> Permutation(int64_t n, PhiloxKey key);

}  // namespace retort
