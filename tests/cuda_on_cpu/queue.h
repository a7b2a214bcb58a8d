// SPDX-License-Identifier: Apache-2.0
// A queue whose work runs late: when the host waits, or when the queue is long.
#pragma once

#include <deque>
#include <functional>

#include "tensor/cuda/driver.h"

namespace retort::cuda::emulated {

class LateQueue final : public Queue {
 public:
  ~LateQueue() override;
  std::unique_ptr<Marker> Mark() override;
  void Finish() override { RunUpTo(asked_); }
  void* Allocate(int64_t bytes) override;
  void Free(void* address) override;
  void TrimFree() override { Finish(); }
  void CopyIn(void* device, const void* host, int64_t bytes) override;
  void CopyOut(void* host, const void* device, int64_t bytes) override;
  void* native() override { return this; }

  void Enqueue(std::function<void()> work);
  // Runs the work up to this number. Throws Error{kFailure} with the first fault of a kernel.
  void RunUpTo(uint64_t number);
  // The same, and leaves the faults for later.
  void RunQuietly(uint64_t number);
  uint64_t done() const { return done_; }
  size_t waiting() const { return work_.size(); }

 private:
  std::deque<std::function<void()>> work_;
  uint64_t asked_ = 0, done_ = 0;
};

}  // namespace retort::cuda::emulated
