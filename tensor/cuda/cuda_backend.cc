// SPDX-License-Identifier: Apache-2.0
#include "tensor/cuda/cuda_backend.h"

#include <algorithm>
#include <cstring>

namespace retort::cuda {
namespace {

constexpr int64_t kStagingBytes = int64_t{4} << 20;

}  // namespace

CudaBackend::CudaBackend(int index, int threads, Compute compute)
    : facts_(UseDevice(index)),
      compute_(compute),
      pool_(threads),
      queue_(MakeQueue()),
      memory_(std::make_unique<CudaMemory>(queue_)),
      blas_(MakeBlas()) {}

CudaBackend::~CudaBackend() = default;

void CudaBackend::UploadBytes(std::span<const std::byte> from, const Tensor& to) {
  RETORT_CHECK(std::ssize(from) == to.bytes(), from.size(), " bytes as ", to.shape().text());
  for (size_t at = 0; at < from.size();) {
    const size_t count = std::min(from.size() - at, static_cast<size_t>(kStagingBytes));
    Staging& staging = staging_[next_staging_];
    next_staging_ = 1 - next_staging_;
    if (staging.copied) staging.copied->Wait();
    std::byte* pinned = staging.bytes.Get(static_cast<int64_t>(count));
    std::memcpy(pinned, from.data() + at, count);
    queue_->CopyIn(to.address() + at, pinned, static_cast<int64_t>(count));
    staging.copied = queue_->Mark();
    at += count;
  }
}

Event CudaBackend::DownloadBytes(const Tensor& x, std::span<std::byte> out) {
  RETORT_CHECK(std::ssize(out) == x.bytes(), out.size(), " bytes of ", x.shape().text());
  Arrival& arrival = arrivals_.emplace_back();
  arrival.number = ++downloads_;
  arrival.out = out;
  if (!out.empty()) queue_->CopyOut(arrival.bytes.Get(x.bytes()), x.address(), x.bytes());
  arrival.copied = queue_->Mark();
  return {arrival.number};
}

void CudaBackend::Wait(Event event) {
  while (!arrivals_.empty() && arrivals_.front().number <= event.number) {
    Arrival& arrival = arrivals_.front();
    try {
      arrival.copied->Wait();
    } catch (...) {
      arrivals_.clear();  // the caller unwinds, and with it go the targets of other downloads
      throw;
    }
    if (!arrival.out.empty()) {
      std::memcpy(arrival.out.data(), arrival.bytes.Get(0), arrival.out.size());
    }
    arrivals_.pop_front();
  }
}

}  // namespace retort::cuda
