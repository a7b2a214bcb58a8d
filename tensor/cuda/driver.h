// SPDX-License-Identifier: Apache-2.0
// The part of CUDA's runtime that the backend needs: a device, its queues (streams) and its memory.
// Two implementations: language/driver.cc over the runtime, and tests/cuda_on_cpu. All functions
// throw Error{kFailure} with the runtime's words; errors of kernels that ran late are thrown by the
// call that meets them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"

namespace retort::cuda {

struct DeviceFacts {
  std::string name;  // "NVIDIA H200"
  int64_t memory_bytes = 0;
  int multiprocessors = 0;
  int major = 0, minor = 0;  // compute capability
  int64_t shared_bytes = 0;  // that a block may ask for
};

// Makes the device current for this thread. Throws Error{kFailure} if there is none of that index,
// or none that this build has code for.
DeviceFacts UseDevice(int index);

// A point in a queue. Holds until it is destroyed.
class Marker {
 public:
  virtual ~Marker() = default;
  virtual void Wait() = 0;  // the host waits until the queue has passed it
  virtual bool Passed() = 0;
};

// Work runs in the order of the calls, later than they return, on the device that was current when
// the queue was made. Not thread-safe, but not tied to a thread.
class Queue {
 public:
  virtual ~Queue() = default;
  virtual std::unique_ptr<Marker> Mark() = 0;
  virtual void Finish() = 0;  // the host waits for all work

  // Memory that the queue's later work may use; freed memory may be reused by later work.
  virtual void* Allocate(int64_t bytes) = 0;
  virtual void Free(void* address) = 0;
  virtual void TrimFree() = 0;  // returns free memory to the system

  // `host` is pinned and stays as it is until the queue has passed the copy.
  virtual void CopyIn(void* device, const void* host, int64_t bytes) = 0;
  virtual void CopyOut(void* host, const void* device, int64_t bytes) = 0;

  // cudaStream_t; its device is made current for the calling thread.
  virtual void* native() = 0;
};
std::unique_ptr<Queue> MakeQueue();

// Host memory that the device reads and writes directly.
void* AllocatePinned(int64_t bytes);
void FreePinned(void* address);

// Throws if the last launch of a kernel was refused.
void CheckLaunch();
// Throws Error{kBug} if CUDA does not launch as many blocks.
inline void CheckGrid(int64_t x, int64_t y, int64_t z) {
  constexpr int64_t kMostX = 0x7fffffff, kMostYZ = 65535;
  RETORT_CHECK(x <= kMostX && y <= kMostYZ && z <= kMostYZ, x, " x ", y, " x ", z, " blocks");
}

}  // namespace retort::cuda
