// SPDX-License-Identifier: Apache-2.0
// Host memory: an arena for short-lived buffers, regions for lasting ones.
#include <algorithm>
#include <memory>

#include "base/large_pages.h"
#include "base/threads.h"
#include "tensor/arena.h"
#include "tensor/tensor.h"

namespace retort {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kLastingRegion = 64 << 20;  // bytes for lasting buffers, unless one is larger

int64_t Aligned(int64_t bytes) {
  return std::max<int64_t>(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
}

// Lasting buffers, one after the other. The region is returned to the system as a whole.
class Region {
 public:
  explicit Region(int64_t bytes) : pages_(bytes) {}

  bool Fits(int64_t bytes) const { return used_ + bytes <= pages_.bytes(); }
  std::byte* Allocate(int64_t bytes) {
    used_ += bytes;
    return pages_.data() + used_ - bytes;
  }
  void Clear() { used_ = 0; }

 private:
  LargePages pages_;
  int64_t used_ = 0;
};

// Shared by the memory and its buffers, which may outlive it.
struct Accounts {
  Arena arena;
  std::shared_ptr<Region> region;  // for the next lasting buffers
  int64_t live = 0, peak = 0;
  int64_t lasting = 0;  // of `live`

  void CountIn(int64_t size) {
    live += size;
    peak = std::max(peak, live);
  }
  std::shared_ptr<Region> RegionFor(int64_t size) {
    if (region && region.use_count() == 1) region->Clear();
    if (!region || !region->Fits(size))
      region = std::make_shared<Region>(std::max(size, kLastingRegion));
    return region;
  }
};

class HostBuffer : public Buffer {
 public:
  HostBuffer(std::shared_ptr<Accounts> accounts, int64_t bytes) : accounts_(std::move(accounts)) {
    bytes_ = bytes;
    data_ = accounts_->arena.Allocate(bytes);
    accounts_->CountIn(Arena::SizeOf(bytes));
  }
  ~HostBuffer() override {
    accounts_->live -= Arena::SizeOf(bytes_);
    accounts_->arena.Free(data_);
  }

 private:
  std::shared_ptr<Accounts> accounts_;
};

class LastingBuffer : public Buffer {
 public:
  LastingBuffer(std::shared_ptr<Accounts> accounts, int64_t bytes)
      : accounts_(std::move(accounts)), region_(accounts_->RegionFor(Aligned(bytes))) {
    bytes_ = bytes;
    data_ = region_->Allocate(Aligned(bytes));
    accounts_->CountIn(Aligned(bytes));
    accounts_->lasting += Aligned(bytes);
  }
  ~LastingBuffer() override {
    accounts_->live -= Aligned(bytes_);
    accounts_->lasting -= Aligned(bytes_);
  }

 private:
  std::shared_ptr<Accounts> accounts_;
  std::shared_ptr<Region> region_;
};

// Buffer objects are also allocated from the arena, because each token creates and destroys some
// hundreds of them. They are not counted.
template <class T>
struct ArenaAllocator {
  using value_type = T;  // NOLINT: the name that std::allocator_traits expects
  std::shared_ptr<Accounts> accounts;

  explicit ArenaAllocator(std::shared_ptr<Accounts> a) : accounts(std::move(a)) {}
  template <class U>
  ArenaAllocator(const ArenaAllocator<U>& other) : accounts(other.accounts) {}

  T* allocate(size_t n) {
    return reinterpret_cast<T*>(accounts->arena.Allocate(static_cast<int64_t>(n * sizeof(T))));
  }
  void deallocate(T* at, size_t) { accounts->arena.Free(reinterpret_cast<std::byte*>(at)); }
};

class HostMemory : public Memory {
 public:
  std::shared_ptr<Buffer> Allocate(int64_t bytes) override { return Make<HostBuffer>(bytes); }
  std::shared_ptr<Buffer> AllocateLasting(int64_t bytes) override {
    return Make<LastingBuffer>(bytes);
  }
  int64_t live_bytes() const override { return accounts_->live; }
  int64_t peak_bytes() const override { return accounts_->peak; }
  int64_t held_bytes() const override { return accounts_->arena.held_bytes(); }
  int64_t reached_bytes() const override {
    return accounts_->arena.reached_bytes() + accounts_->lasting;
  }
  void ResetPeak() override { accounts_->peak = accounts_->live; }
  void Trim() override {
    accounts_->arena.Trim();
    accounts_->region.reset();
  }

 private:
  template <class Made>
  std::shared_ptr<Buffer> Make(int64_t bytes) {
    RETORT_CHECK(bytes >= 0, bytes, " bytes");
    RETORT_CHECK(!ThreadPool::InRound(), bytes, " bytes allocated inside a parallel section");
    return std::allocate_shared<Made>(ArenaAllocator<Made>(accounts_), accounts_, bytes);
  }

  std::shared_ptr<Accounts> accounts_ = std::make_shared<Accounts>();
};

}  // namespace

std::shared_ptr<Memory> MakeHostMemory() { return std::make_shared<HostMemory>(); }

}  // namespace retort
