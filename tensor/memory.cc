// SPDX-License-Identifier: Apache-2.0
// Host memory in size classes, kept for reuse.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <vector>

#include "base/threads.h"
#include "tensor/tensor.h"

namespace retort {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kSmall = 1 << 16;       // smaller blocks are of any multiple of kAlignment
constexpr int64_t kSmallKept = 4 << 20;   // bytes of them in all

// Rounded up to a multiple of an eighth of its power of two, so that at most 1/8 is wasted.
int64_t SizeClass(int64_t bytes) {
  const int64_t aligned =
      std::max<int64_t>(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  if (aligned < kSmall) return aligned;
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

// Small blocks that were given back, by size; each holds the pointer to the next.
class SmallBlocks {
 public:
  ~SmallBlocks() { Trim(); }

  std::byte* Take(int64_t size) {
    std::byte*& first = First(size);
    std::byte* block = first;
    if (!block) return FromSystem(size);
    std::memcpy(&first, block, sizeof first);
    kept_bytes_ -= size;
    return block;
  }
  void Give(std::byte* block, int64_t size) {
    if (kept_bytes_ + size > kSmallKept) return std::free(block);
    std::memcpy(block, &First(size), sizeof block);
    First(size) = block;
    kept_bytes_ += size;
  }
  void Trim() {
    for (std::byte*& first : first_) {
      while (std::byte* block = first) {
        std::memcpy(&first, block, sizeof first);
        std::free(block);
      }
    }
    kept_bytes_ = 0;
  }

 private:
  std::byte*& First(int64_t size) { return first_[static_cast<size_t>(size / kAlignment)]; }

  std::array<std::byte*, kSmall / kAlignment> first_{};
  int64_t kept_bytes_ = 0;
};

// Shared by the memory and its buffers, which may outlive it.
struct Accounts {
  int64_t live = 0, peak = 0, kept_bytes = 0;
  std::map<int64_t, std::vector<std::byte*>> kept;  // by size class, from kSmall on
  SmallBlocks small;

  ~Accounts() { Trim(); }
  void Trim() {
    for (auto& [size, blocks] : kept) {
      for (std::byte* b : blocks) std::free(b);
    }
    kept.clear();
    kept_bytes = 0;
    small.Trim();
  }
  std::byte* Take(int64_t size) {
    if (size < kSmall) return small.Take(size);
    const auto found = kept.find(size);
    if (found == kept.end() || found->second.empty()) {
      MakeRoomFor(size);
      return FromSystem(size);
    }
    std::byte* block = found->second.back();
    found->second.pop_back();
    kept_bytes -= size;
    return block;
  }
  void Give(std::byte* block, int64_t size) {
    if (size < kSmall) return small.Give(block, size);
    kept[size].push_back(block);
    kept_bytes += size;
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
};

class HostBuffer : public Buffer {
 public:
  HostBuffer(std::shared_ptr<Accounts> accounts, int64_t bytes)
      : accounts_(std::move(accounts)), size_(SizeClass(bytes)) {
    bytes_ = bytes;
    data_ = accounts_->Take(size_);
    if (!data_)
      throw Failure("out of memory: ", BytesText(size_), " more than ", BytesText(accounts_->live));
    accounts_->live += size_;
    accounts_->peak = std::max(accounts_->peak, accounts_->live);
  }
  ~HostBuffer() override {
    accounts_->live -= size_;
    accounts_->Give(data_, size_);
  }

 private:
  std::shared_ptr<Accounts> accounts_;
  int64_t size_;
};

// Where the buffers themselves lie: blocks that are kept too, and not counted.
template <class T>
struct NodeAllocator {
  using value_type = T;
  std::shared_ptr<Accounts> accounts;

  explicit NodeAllocator(std::shared_ptr<Accounts> a) : accounts(std::move(a)) {}
  template <class U>
  NodeAllocator(const NodeAllocator<U>& other) : accounts(other.accounts) {}

  static constexpr int64_t kBytes = (static_cast<int64_t>(sizeof(T)) + kAlignment - 1) / kAlignment * kAlignment;
  T* allocate(size_t) {
    std::byte* block = accounts->small.Take(kBytes);
    if (!block) throw std::bad_alloc();
    return reinterpret_cast<T*>(block);
  }
  void deallocate(T* at, size_t) {
    accounts->small.Give(reinterpret_cast<std::byte*>(at), kBytes);
  }
};

class HostMemory : public Memory {
 public:
  std::shared_ptr<Buffer> Allocate(int64_t bytes) override {
    RETORT_CHECK(bytes >= 0, bytes, " bytes");
    RETORT_CHECK(!ThreadPool::InRound(), bytes, " bytes within a round of threads");
    return std::allocate_shared<HostBuffer>(NodeAllocator<HostBuffer>(accounts_), accounts_, bytes);
  }
  int64_t live_bytes() const override { return accounts_->live; }
  int64_t peak_bytes() const override { return accounts_->peak; }
  void ResetPeak() override { accounts_->peak = accounts_->live; }
  void Trim() override { accounts_->Trim(); }

 private:
  std::shared_ptr<Accounts> accounts_ = std::make_shared<Accounts>();
};

}  // namespace

std::shared_ptr<Memory> MakeHostMemory() { return std::make_shared<HostMemory>(); }

}  // namespace retort
