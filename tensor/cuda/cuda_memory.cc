// SPDX-License-Identifier: Apache-2.0
#include "tensor/cuda/cuda_memory.h"

#include <algorithm>

namespace retort::cuda {

constexpr int64_t kAlignment = 256;  // sizes are counted in the pool's steps

struct CudaMemory::Count {
  int64_t live = 0, peak = 0;
};

class CudaMemory::DeviceBuffer final : public Buffer {
 public:
  DeviceBuffer(std::shared_ptr<Queue> queue, std::shared_ptr<Count> count, int64_t bytes)
      : queue_(std::move(queue)), count_(std::move(count)) {
    counted_ = (std::max<int64_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
    space_ = Space::kDevice;
    bytes_ = bytes;
    data_ = static_cast<std::byte*>(queue_->Allocate(counted_));
    count_->live += counted_;
    count_->peak = std::max(count_->peak, count_->live);
  }
  ~DeviceBuffer() override {
    queue_->Free(data_);
    count_->live -= counted_;
  }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

 private:
  std::shared_ptr<Queue> queue_;
  std::shared_ptr<Count> count_;
  int64_t counted_ = 0;
};

CudaMemory::CudaMemory(std::shared_ptr<Queue> queue)
    : queue_(std::move(queue)), count_(std::make_shared<Count>()) {}
CudaMemory::~CudaMemory() = default;

std::shared_ptr<Buffer> CudaMemory::Allocate(int64_t bytes) {
  RETORT_CHECK(bytes >= 0, bytes, " bytes");
  return std::make_shared<DeviceBuffer>(queue_, count_, bytes);
}
int64_t CudaMemory::live_bytes() const { return count_->live; }
int64_t CudaMemory::peak_bytes() const { return count_->peak; }
void CudaMemory::ResetPeak() { count_->peak = count_->live; }

}  // namespace retort::cuda
