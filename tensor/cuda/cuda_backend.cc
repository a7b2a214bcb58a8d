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

// Copies end before the memory that they read and write is freed.
CudaBackend::~CudaBackend() {
  try {
    queue_->Finish();
  } catch (const Error&) {  // an error of work that nobody waited for
  }
}

void CudaBackend::UploadBytes(std::span<const std::byte> from, const Tensor& to) {
  RETORT_CHECK(std::ssize(from) == to.bytes(), from.size(), " bytes as ", to.shape().text());
  for (size_t at = 0; at < from.size();) {
    const size_t count = std::min(from.size() - at, static_cast<size_t>(kStagingBytes));
    auto piece = staging_.Take(static_cast<int64_t>(count));
    std::memcpy(piece->data(), from.data() + at, count);
    queue_->CopyIn(to.address() + at, piece->data(), static_cast<int64_t>(count));
    piece->copied = queue_->Mark();
    staging_.Return(std::move(piece));
    at += count;
  }
}

Event CudaBackend::DownloadBytes(const Tensor& x, std::span<std::byte> out) {
  RETORT_CHECK(std::ssize(out) == x.bytes(), out.size(), " bytes of ", x.shape().text());
  Arrival arrival{downloads_ + 1, staging_.Take(x.bytes()), out};
  if (!out.empty()) queue_->CopyOut(arrival.piece->data(), x.address(), x.bytes());
  arrival.piece->copied = queue_->Mark();
  arrivals_.push_back(std::move(arrival));
  return {++downloads_};
}

void CudaBackend::Wait(Event event) {
  while (!arrivals_.empty() && arrivals_.front().number <= event.number) {
    Arrival arrival = std::move(arrivals_.front());
    arrivals_.pop_front();
    try {
      arrival.piece->copied->Wait();
    } catch (...) {
      // The caller unwinds, and with it go the targets of other downloads.
      for (Arrival& other : arrivals_) staging_.Return(std::move(other.piece));
      arrivals_.clear();
      staging_.Return(std::move(arrival.piece));
      throw;
    }
    if (!arrival.out.empty())
      std::memcpy(arrival.out.data(), arrival.piece->data(), arrival.out.size());
    staging_.Return(std::move(arrival.piece));
  }
}

}  // namespace retort::cuda
