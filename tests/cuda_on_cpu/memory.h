// SPDX-License-Identifier: Apache-2.0
// The emulated device's memory: every byte has a shadow that knows whether it was written, and
// which thread of which launch touched it last. So reads of memory never written, accesses beyond
// a tensor's end or after a free, and races are found, and reported as faults.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace retort::cuda::emulated {

// Who touches memory: a thread of a block of a launch, at a point between barriers.
struct Toucher {
  uint32_t launch = 0;  // 0: nobody
  uint32_t block = 0;
  uint32_t barriers = 0;  // that the block has passed
  uint16_t thread = 0;
  uint16_t warp_barriers = 0;  // that the thread's warp has passed

  // Whether nothing orders the two.
  bool RacesWith(const Toucher& other) const;
  // Whether no barrier of the block is between them.
  bool SamePhase(const Toucher& other) const;
};

// The shadow of a range of bytes. Of an access of several bytes every second one knows who touched
// it: elements have one byte, or begin at an even place.
class Shadow {
 public:
  explicit Shadow(size_t bytes) : written_(bytes), cells_(bytes) {}

  // What is wrong with the access, or null.
  const char* Read(size_t at, size_t bytes, const Toucher& who);
  const char* Write(size_t at, size_t bytes, const Toucher& who);
  // A write that begins now and lands later.
  const char* BeginWrite(size_t at, size_t bytes, const Toucher& who);
  // Read and written in one step that other such steps may share.
  const char* Atomic(size_t at, size_t bytes);
  // A copy or a library's product: no thread is named, and the queue orders it.
  void MarkWritten(size_t at, size_t bytes);
  bool Written(size_t at, size_t bytes) const;
  // Nothing is written, nobody has touched it.
  void Forget(size_t bytes);
  void MarkFreed() { freed_ = true; }

 private:
  struct Cell {
    Toucher writer, reader;
    bool several_readers = false;  // since the barrier that `reader` knows
    uint32_t many_blocks = 0;      // the launch of which several blocks have read it
  };
  std::vector<uint8_t> written_;
  bool freed_ = false;
  std::vector<Cell> cells_;
};

// One allocation of the device.
struct Allocation {
  explicit Allocation(size_t bytes) : memory(bytes), shadow(bytes) {}
  std::vector<std::byte> memory;
  Shadow shadow;
};

// Allocates and frees at once; the queue calls FreeNow in its own order. Memory freed last is kept
// for a while, so that accesses to it are told.
std::byte* AllocateNow(int64_t bytes);
void FreeNow(void* address);
// The allocation that holds all of [address, address + bytes). A fault, and null, if none does.
Allocation* Find(const void* address, int64_t bytes);
// The place of an address in its allocation.
size_t OffsetIn(const Allocation& allocation, const void* address);

// Faults found so far. TakeFaults returns and forgets them.
void Report(const std::string& fault);
std::vector<std::string> TakeFaults();

}  // namespace retort::cuda::emulated
