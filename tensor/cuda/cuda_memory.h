// SPDX-License-Identifier: Apache-2.0
// The device's memory, counted. Frees are in the order of the queue.
#pragma once

#include <memory>

#include "tensor/cuda/driver.h"
#include "tensor/tensor.h"

namespace retort::cuda {

class CudaMemory final : public Memory {
 public:
  // Buffers keep the queue alive.
  explicit CudaMemory(std::shared_ptr<Queue> queue);
  ~CudaMemory() override;

  std::shared_ptr<Buffer> Allocate(int64_t bytes) override;
  std::shared_ptr<Buffer> AllocateLasting(int64_t bytes) override { return Allocate(bytes); }
  int64_t live_bytes() const override;
  int64_t peak_bytes() const override;
  // The pool belongs to the driver: what was ever live at one time is a lower bound.
  int64_t held_bytes() const override { return peak_bytes(); }
  int64_t reached_bytes() const override { return peak_bytes(); }
  void ResetPeak() override;
  void Trim() override { queue_->TrimFree(); }

 private:
  struct Count;
  class DeviceBuffer;
  std::shared_ptr<Queue> queue_;
  std::shared_ptr<Count> count_;
};

}  // namespace retort::cuda
