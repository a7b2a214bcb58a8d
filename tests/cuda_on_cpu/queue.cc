// SPDX-License-Identifier: Apache-2.0
// The driver of the emulated device (tensor/cuda/driver.h).
#include "tests/cuda_on_cpu/queue.h"

#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/strings.h"
#include "tests/cuda_on_cpu/memory.h"

namespace retort::cuda {
namespace emulated {
namespace {

constexpr size_t kLongQueue = 2048;

class LateMarker final : public Marker {
 public:
  LateMarker(LateQueue& queue, uint64_t number) : queue_(queue), number_(number) {}
  void Wait() override { queue_.RunUpTo(number_); }
  bool Passed() override { return queue_.done() >= number_; }

 private:
  LateQueue& queue_;
  uint64_t number_;
};

}  // namespace

LateQueue::~LateQueue() {
  RunQuietly(asked_);  // what it finds is told by the next queue, or by main.cc
}

std::unique_ptr<Marker> LateQueue::Mark() { return std::make_unique<LateMarker>(*this, asked_); }

void* LateQueue::Allocate(int64_t bytes) { return AllocateNow(bytes); }
void LateQueue::Free(void* address) {
  Enqueue([address] { FreeNow(address); });
}

void LateQueue::CopyIn(void* device, const void* host, int64_t bytes) {
  Enqueue([=] {
    Allocation* to = Find(device, bytes);
    if (!to) return;
    std::memcpy(device, host, static_cast<size_t>(bytes));
    to->shadow.MarkWritten(OffsetIn(*to, device), static_cast<size_t>(bytes));
  });
}

void LateQueue::CopyOut(void* host, const void* device, int64_t bytes) {
  Enqueue([=] {
    const Allocation* from = Find(device, bytes);
    if (!from) return;
    if (!from->shadow.Written(OffsetIn(*from, device), static_cast<size_t>(bytes)))
      Report("a copy to the host of memory never written");
    std::memcpy(host, device, static_cast<size_t>(bytes));
  });
}

void LateQueue::Enqueue(std::function<void()> work) {
  work_.push_back(std::move(work));
  ++asked_;
  if (work_.size() > kLongQueue) RunQuietly(asked_ - kLongQueue / 2);
}

void LateQueue::RunQuietly(uint64_t number) {
  while (done_ < number) {
    const std::function<void()> work = std::move(work_.front());
    work_.pop_front();
    ++done_;
    work();
  }
}

void LateQueue::RunUpTo(uint64_t number) {
  RunQuietly(number);
  const std::vector<std::string> faults = TakeFaults();
  if (!faults.empty()) throw Failure("CUDA: ", faults.front(), " (", faults.size(), " faults)");
}

}  // namespace emulated

DeviceFacts UseDevice(int index) {
  if (index != 0) throw Failure("CUDA device ", index, ": the emulator has one");
  return {"CUDA on the CPU", int64_t{16} << 30, 4, 9, 0, int64_t{227} << 10};
}
std::unique_ptr<Queue> MakeQueue() { return std::make_unique<emulated::LateQueue>(); }
void* AllocatePinned(int64_t bytes) { return std::malloc(static_cast<size_t>(bytes)); }
void FreePinned(void* address) { std::free(address); }
void CheckLaunch() {}

}  // namespace retort::cuda
