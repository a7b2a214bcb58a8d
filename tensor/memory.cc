// SPDX-License-Identifier: Apache-2.0
// Host memory in size classes, kept for reuse.
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include "tensor/tensor.h"

namespace retort {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kKept = 1 << 16;  // smaller blocks go straight back: malloc is good at them

// Rounded up to a multiple of an eighth of its power of two, so that at most 1/8 is wasted.
int64_t SizeClass(int64_t bytes) {
  const int64_t aligned =
      std::max<int64_t>(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  if (aligned < kKept) return aligned;
  const int64_t step = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(aligned))) / 8;
  return (aligned + step - 1) / step * step;
}

// Pages of 2 MiB where the system has them, in as far as they are used whole: large tensors are then found with few
// look-ups, and made with few faults.
constexpr int64_t kLargePage = 2 << 20;
std::byte* FromSystem(int64_t bytes) {
  const int64_t alignment = bytes >= kLargePage ? kLargePage : kAlignment;
  void* data = std::aligned_alloc(static_cast<size_t>(alignment), static_cast<size_t>(bytes));
  if (data && bytes >= kLargePage) {
    ::madvise(data, static_cast<size_t>(bytes / kLargePage * kLargePage), MADV_HUGEPAGE);
  }
  return static_cast<std::byte*>(data);
}

// Shared by the memory and its buffers, which may outlive it.
struct Accounts {
  std::mutex mutex;
  int64_t live = 0, peak = 0, kept_bytes = 0;
  std::map<int64_t, std::vector<std::byte*>> kept;  // by size class

  ~Accounts() { Trim(); }
  void Trim() {
    for (auto& [size, blocks] : kept) {
      for (std::byte* b : blocks) std::free(b);
    }
    kept.clear();
    kept_bytes = 0;
  }
  // A loop whose sizes drift must not hoard what it no longer asks for: what is kept beside what is
  // live stays within an eighth more than the most that ever was live.
  void MakeRoomFor(int64_t bytes) {
    const int64_t most = std::max(peak, live + bytes) / 8 * 9;
    while (!kept.empty() && live + kept_bytes + bytes > most) {
      auto& [size, blocks] = *kept.rbegin();
      if (blocks.empty()) {
        kept.erase(size);
        continue;
      }
      std::free(blocks.back());
      blocks.pop_back();
      kept_bytes -= size;
    }
  }
  void Count(int64_t bytes) {
    live += bytes;
    peak = std::max(peak, live);
  }
};

class HostBuffer : public Buffer {
 public:
  HostBuffer(std::shared_ptr<Accounts> accounts, int64_t bytes)
      : accounts_(std::move(accounts)), size_(SizeClass(bytes)) {
    bytes_ = bytes;
    const std::lock_guard lock(accounts_->mutex);
    const auto found = accounts_->kept.find(size_);
    if (found != accounts_->kept.end() && !found->second.empty()) {
      data_ = found->second.back();
      found->second.pop_back();
      accounts_->kept_bytes -= size_;
    } else {
      accounts_->MakeRoomFor(size_);
      data_ = FromSystem(size_);
      if (!data_)
        throw Failure("out of memory: ", BytesText(size_), " more than ",
                      BytesText(accounts_->live));
    }
    accounts_->Count(size_);
  }
  ~HostBuffer() override {
    const std::lock_guard lock(accounts_->mutex);
    accounts_->live -= size_;
    if (size_ < kKept) {
      std::free(data_);
    } else {
      accounts_->kept[size_].push_back(data_);
      accounts_->kept_bytes += size_;
    }
  }

 private:
  std::shared_ptr<Accounts> accounts_;
  int64_t size_;
};

class HostMemory : public Memory {
 public:
  std::shared_ptr<Buffer> Allocate(int64_t bytes) override {
    RETORT_CHECK(bytes >= 0);
    return std::make_shared<HostBuffer>(accounts_, bytes);
  }
  int64_t live_bytes() const override {
    return Locked([](Accounts& a) { return a.live; });
  }
  int64_t peak_bytes() const override {
    return Locked([](Accounts& a) { return a.peak; });
  }
  void ResetPeak() override {
    Locked([](Accounts& a) { return a.peak = a.live; });
  }
  void Trim() override {
    Locked([](Accounts& a) {
      a.Trim();
      return 0;
    });
  }

 private:
  template <class F>
  int64_t Locked(F body) const {
    const std::lock_guard lock(accounts_->mutex);
    return body(*accounts_);
  }
  std::shared_ptr<Accounts> accounts_ = std::make_shared<Accounts>();
};

}  // namespace

std::shared_ptr<Memory> MakeHostMemory() { return std::make_shared<HostMemory>(); }

}  // namespace retort
