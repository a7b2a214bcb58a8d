// SPDX-License-Identifier: Apache-2.0
// Blocks of memory that come and go, cut from regions of large pages. A free block is merged with
// free neighbours, so a loop whose sizes drift does not hoard; the same requests in the same order
// get the same addresses. Taking and giving back are of constant time (TLSF: Masmano, Ripoll,
// Crespo and Real, "TLSF: a new dynamic memory allocator for real-time systems", ECRTS 2004).
//
// One caller at a time; takes no lock.
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

  // What a request of so many bytes takes: the next multiple of 64.
  static int64_t SizeOf(int64_t bytes);

  // Uninitialised, 64-byte aligned. Throws Error{kFailure} when the system has no more.
  std::byte* Allocate(int64_t bytes);
  void Free(std::byte* block);
  // Gives everything that is free back to the system.
  void Trim();
  // Addresses taken from the system. Pages that were never touched are among them.
  int64_t held_bytes() const { return held_bytes_; }

 private:
  struct Block;
  struct Place {
    size_t first, second;
  };
  static constexpr size_t kFirst = 40,
                          kSecond = 32;  // powers of two of 64 bytes, and steps within one

  static Place PlaceOf(int64_t size);
  Block*& List(Place p) { return free_[p.first * kSecond + p.second]; }
  void Link(Block* block);
  void Unlink(Block* block);
  Block* FreeBlock(int64_t size);
  Block* NewRegion(int64_t size);
  void Split(Block* block, int64_t size);

  std::vector<std::unique_ptr<LargePages>> regions_;
  int64_t held_bytes_ = 0;
  uint64_t first_used_ = 0;              // bit i: some list of power i has a block
  std::array<uint32_t, kFirst> used_{};  // bit j: list j of that power has one
  std::array<Block*, kFirst * kSecond> free_{};
};

}  // namespace retort
