// SPDX-License-Identifier: Apache-2.0
// An allocator for short-lived blocks, cut from regions of large pages. A freed block is merged
// with its free neighbours, so a loop whose sizes drift does not accumulate memory. The same
// requests in the same order get the same addresses. Allocate and Free take constant time (TLSF:
// Masmano, Ripoll, Crespo and Real, "TLSF: a new dynamic memory allocator for real-time systems",
// ECRTS 2004).
//
// Not thread-safe: one caller at a time, no lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/large_pages.h"

namespace retort {

class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // The memory that a request for `bytes` occupies: the next multiple of 64.
  static int64_t SizeOf(int64_t bytes);

  // Uninitialised, 64-byte aligned. Throws Error{kFailure} when the system has no more memory.
  std::byte* Allocate(int64_t bytes);
  void Free(std::byte* block);
  // Returns all free memory to the system.
  void Trim();
  // Bytes of address space taken from the system, including pages that were never touched.
  int64_t held_bytes() const { return held_bytes_; }
  // Of these, those up to the highest address ever allocated in each region, in pages of 2 MiB:
  // what can be resident.
  int64_t reached_bytes() const;

 private:
  struct Block;
  struct Place {
    size_t first, second;
  };
  // Size classes: 64 bytes times a power of two, and linear steps within each power.
  static constexpr size_t kFirst = 40, kSecond = 32;

  static Place PlaceOf(int64_t size);
  Block*& List(Place p) { return free_[p.first * kSecond + p.second]; }
  void Link(Block* block);
  void Unlink(Block* block);
  Block* FreeBlock(int64_t size);
  Block* NewRegion(int64_t size);
  void Split(Block* block, int64_t size);
  void Reach(const std::byte* end);

  std::vector<std::unique_ptr<LargePages>> regions_;
  std::vector<int64_t> reached_;  // by region, from its begin
  int64_t held_bytes_ = 0;
  uint64_t first_used_ = 0;              // bit i: some list of power i is not empty
  std::array<uint32_t, kFirst> used_{};  // bit j: list j of that power is not empty
  std::array<Block*, kFirst * kSecond> free_{};
};

}  // namespace retort
