// SPDX-License-Identifier: Apache-2.0
// Runs a kernel's grid on the calling thread: block after block, in an order that changes from
// launch to launch, and a block's threads as fibers that change places at barriers and shuffles.
// A barrier or a shuffle that not all threads reach is a fault; the run goes on so that others are
// found too.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#include "tests/cuda_on_cpu/memory.h"

namespace retort::cuda {

struct Index {
  unsigned x = 0, y = 0, z = 0;
};
// Of the thread that runs, as in CUDA.
extern Index threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {

inline constexpr size_t kMostShared = size_t{227} << 10;  // bytes of a block (sm_90)
inline constexpr size_t kMostStatic = size_t{48} << 10;   // declared by RETORT_SHARED

struct GridSize {
  Index blocks;
  int threads;
  size_t shared_bytes;
};
void RunGrid(const GridSize& size, const std::function<void()>& kernel);

// The running thread.
Toucher Self();
// Reports a fault of the running thread, with its place.
void Fault(const char* what, int64_t element);

// The block's barrier, and its warp's. Lanes of a warp that meet come from one place of the source.
struct Place {
  const char* file = "";
  int line = 0;
  static Place current(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};
void BlockBarrier();
void WarpBarrier(const Place& place);

// Every lane of the warp hands in up to 64 bytes and sees what the others handed in.
inline constexpr size_t kMostLaneBytes = 64;
using LaneBytes = std::array<std::byte, kMostLaneBytes>;
const std::array<LaneBytes, 32>& Exchange(const LaneBytes& own, const Place& place);

template <class T>
std::array<T, 32> ExchangeAs(const T& own, const Place& place) {
  static_assert(sizeof(T) <= kMostLaneBytes && std::is_trivially_copyable_v<T>);
  LaneBytes bytes{};
  std::memcpy(bytes.data(), &own, sizeof(T));
  const std::array<LaneBytes, 32>& all = Exchange(bytes, place);
  std::array<T, 32> values;
  for (size_t i = 0; i < 32; ++i) std::memcpy(&values[i], all[i].data(), sizeof(T));
  return values;
}

// The block's shared memory. `tag` identifies a declaration; the first thread that reaches it
// allocates.
std::byte* StaticShared(const void* tag, size_t bytes);
std::byte* DynamicSharedBytes(size_t* bytes);
Shadow& SharedShadow();
size_t SharedOffset(const void* address);

// A copy that is done when its thread waits for it.
void QueueCopy(std::function<void()> copy);
void CommitQueued();
void WaitQueued(int pending);

}  // namespace emulated
}  // namespace retort::cuda
