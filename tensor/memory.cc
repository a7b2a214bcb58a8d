// SPDX-License-Identifier: Apache-2.0
// Host memory in size classes, kept for reuse.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <vector>

#include "base/large_pages.h"
#include "base/threads.h"
#include "tensor/tensor.h"

namespace retort {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kSmall = 1 << 16;       // smaller blocks are of any multiple of kAlignment
constexpr int64_t kSmallKept = 4 << 20;   // bytes of them in all
constexpr int64_t kRegion = 64 << 20;     // of lasting buffers, unless one of them is larger

int64_t Aligned(int64_t bytes) {
  return std::max<int64_t>(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
}

// Rounded up to a multiple of an eighth of its power of two, so that at most 1/8 is wasted.
int64_t SizeClass(int64_t bytes) {
  const int64_t aligned = Aligned(bytes);
  if (aligned < kSmall) return aligned;
  const int64_t step = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(aligned))) / 8;
  return (aligned + step - 1) / step * step;
}

std::byte* FromSystem(int64_t bytes) {
  const int64_t alignment = bytes >= kLargePage ? kLargePage : kAlignment;
  void* data = std::aligned_alloc(static_cast<size_t>(alignment), static_cast<size_t>(bytes));
  if (data && bytes >= kLargePage) PreferLargePages(data, bytes);
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

// Lasting buffers, one behind the other; given back to the system as a whole.
class Region {
 public:
  explicit Region(int64_t bytes) : pages_(bytes) {}

  bool Fits(int64_t bytes) const { return used_ + bytes <= pages_.bytes(); }
  std::byte* Take(int64_t bytes) {
    used_ += bytes;
    return pages_.data() + used_ - bytes;
  }
  void Clear() { used_ = 0; }

 private:
  LargePages pages_;
  int64_t used_ = 0;
};

// Shared by the memory and its buffers, which may outlive it. Counts its users itself: there is one caller at a time, and
// a token's pass takes and gives back hundreds of buffers.
struct Accounts {
  int64_t users = 1;  // the memory, and every buffer's node
  int64_t live = 0, peak = 0, kept_bytes = 0;
  std::map<int64_t, std::vector<std::byte*>> kept;  // by size class, from kSmall on
  SmallBlocks small;
  std::shared_ptr<Region> region;  // the one that has room left

  ~Accounts() { Trim(); }
  void Trim() {
    for (auto& [size, blocks] : kept) {
      for (std::byte* b : blocks) std::free(b);
    }
    kept.clear();
    kept_bytes = 0;
    small.Trim();
    region.reset();
  }
  void Release() {
    if (--users == 0) delete this;
  }
  void CountIn(int64_t size) {
    live += size;
    peak = std::max(peak, live);
  }
  std::shared_ptr<Region> RegionFor(int64_t size) {
    if (region && region.use_count() == 1) region->Clear();
    if (!region || !region->Fits(size)) region = std::make_shared<Region>(std::max(size, kRegion));
    return region;
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
  HostBuffer(Accounts* accounts, int64_t bytes) : accounts_(accounts), size_(SizeClass(bytes)) {
    bytes_ = bytes;
    data_ = accounts_->Take(size_);
    if (!data_)
      throw Failure("out of memory: ", BytesText(size_), " more than ", BytesText(accounts_->live));
    accounts_->CountIn(size_);
  }
  ~HostBuffer() override {
    accounts_->live -= size_;
    accounts_->Give(data_, size_);
  }

 private:
  Accounts* accounts_;
  int64_t size_;
};

class LastingBuffer : public Buffer {
 public:
  LastingBuffer(Accounts* accounts, int64_t bytes)
      : accounts_(accounts), size_(Aligned(bytes)), region_(accounts_->RegionFor(size_)) {
    bytes_ = bytes;
    data_ = region_->Take(size_);
    accounts_->CountIn(size_);
  }
  ~LastingBuffer() override { accounts_->live -= size_; }

 private:
  Accounts* accounts_;
  int64_t size_;
  std::shared_ptr<Region> region_;
};

// Where the buffers themselves lie: blocks that are kept too, and not counted. The accounts last as long as a node.
template <class T>
struct NodeAllocator {
  using value_type = T;
  Accounts* accounts;

  explicit NodeAllocator(Accounts* a) : accounts(a) {}
  template <class U>
  NodeAllocator(const NodeAllocator<U>& other) : accounts(other.accounts) {}

  static constexpr int64_t kBytes = (static_cast<int64_t>(sizeof(T)) + kAlignment - 1) / kAlignment * kAlignment;
  T* allocate(size_t) {
    std::byte* block = accounts->small.Take(kBytes);
    if (!block) throw std::bad_alloc();
    ++accounts->users;
    return reinterpret_cast<T*>(block);
  }
  void deallocate(T* at, size_t) {
    accounts->small.Give(reinterpret_cast<std::byte*>(at), kBytes);
    accounts->Release();
  }
};

class HostMemory : public Memory {
 public:
  ~HostMemory() override { accounts_->Release(); }
  std::shared_ptr<Buffer> Allocate(int64_t bytes) override { return Make<HostBuffer>(bytes); }
  std::shared_ptr<Buffer> AllocateLasting(int64_t bytes) override { return Make<LastingBuffer>(bytes); }
  int64_t live_bytes() const override { return accounts_->live; }
  int64_t peak_bytes() const override { return accounts_->peak; }
  void ResetPeak() override { accounts_->peak = accounts_->live; }
  void Trim() override { accounts_->Trim(); }

 private:
  template <class Made>
  std::shared_ptr<Buffer> Make(int64_t bytes) {
    RETORT_CHECK(bytes >= 0, bytes, " bytes");
    RETORT_CHECK(!ThreadPool::InRound(), bytes, " bytes within a round of threads");
    return std::allocate_shared<Made>(NodeAllocator<Made>(accounts_), accounts_, bytes);
  }

  Accounts* accounts_ = new Accounts;
};

}  // namespace

std::shared_ptr<Memory> MakeHostMemory() { return std::make_shared<HostMemory>(); }

}  // namespace retort
