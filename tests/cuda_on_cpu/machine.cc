// SPDX-License-Identifier: Apache-2.0
#include "tests/cuda_on_cpu/machine.h"

#include <boost/context/fiber.hpp>
#include <boost/context/fixedsize_stack.hpp>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/strings.h"

namespace retort::cuda {

Index threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {
namespace {

namespace context = boost::context;

constexpr int kWarp = 32;
constexpr size_t kStackBytes = size_t{256} << 10;

enum class State : uint8_t { kReady, kAtBarrier, kInWarp, kDone };

struct Thread {
  context::fiber fiber;    // where it goes on
  context::fiber machine;  // where it came from
  State state = State::kDone;
  // Groups of copies: the last one is not committed.
  std::vector<std::vector<std::function<void()>>> copies{1};
};

// What the lanes of a warp hand in. Two sets in turn: a lane may come to the next exchange before
// the others have read this one.
struct Warp {
  std::array<LaneBytes, kWarp> values[2];
  int turn = 0, arrived = 0;
  Place place = {};  // where the first that arrived is
  uint16_t barriers = 0;
};

class Block {
 public:
  void Run(const GridSize& size, const std::function<void()>& kernel, uint32_t launch,
           uint32_t number, bool reversed);

  Toucher Self() const {
    return {launch_, number_, barriers_, static_cast<uint16_t>(current_),
            warps_[static_cast<size_t>(current_ / kWarp)].barriers};
  }
  Thread& current() { return threads_[static_cast<size_t>(current_)]; }
  void Barrier();
  const std::array<LaneBytes, kWarp>& Exchange(const LaneBytes& own, const Place& place,
                                               bool barrier);
  std::byte* StaticShared(const void* tag, size_t bytes);
  std::byte* DynamicShared(size_t* bytes);
  Shadow& shared_shadow() { return shadow_; }
  size_t SharedOffset(const void* at) const {
    return static_cast<size_t>(static_cast<const std::byte*>(at) - shared_.data());
  }

 private:
  void Resume(int thread);
  void Leave(State state);  // the running thread waits
  void Start(int thread);
  void Untie();
  void Release(State state, int first, int count);

  std::deque<Thread> threads_;
  std::vector<Warp> warps_;
  const std::function<void()>* kernel_ = nullptr;
  int count_ = 0, current_ = 0, at_barrier_ = 0, done_ = 0;
  uint32_t launch_ = 0, number_ = 0, barriers_ = 0;
  std::vector<std::byte> shared_ = std::vector<std::byte>(kMostShared);
  Shadow shadow_{kMostShared};
  size_t shared_used_ = 0, dynamic_bytes_ = 0;
  std::map<const void*, std::byte*> declared_;
};

Block& TheBlock() {
  static Block block;
  return block;
}

// A fiber lives for many blocks: it runs the kernel each time that it is resumed for a new one.
void Block::Start(int thread) {
  Thread& own = threads_[static_cast<size_t>(thread)];
  own.fiber = context::fiber(std::allocator_arg, context::fixedsize_stack(kStackBytes),
                             [this, &own](context::fiber&& machine) {
                               own.machine = std::move(machine);
                               while (true) {
                                 (*kernel_)();
                                 Leave(State::kDone);
                               }
                               return context::fiber();
                             });
}

void Block::Resume(int thread) {
  current_ = thread;
  threadIdx = {static_cast<unsigned>(thread), 0, 0};
  Thread& own = threads_[static_cast<size_t>(thread)];
  own.fiber = std::move(own.fiber).resume();
}

void Block::Leave(State state) {
  Thread& own = current();
  own.state = state;
  if (state == State::kDone) {
    ++done_;
    if (own.copies.size() > 1 || !own.copies.back().empty()) own.copies.assign(1, {});
  }
  own.machine = std::move(own.machine).resume();
}

void Block::Release(State state, int first, int count) {
  for (int i = first; i < first + count; ++i) {
    Thread& thread = threads_[static_cast<size_t>(i)];
    if (thread.state == state) thread.state = State::kReady;
  }
}

void Block::Barrier() {
  if (++at_barrier_ == count_) {
    at_barrier_ = 0;
    ++barriers_;
    Release(State::kAtBarrier, 0, count_);
    return;
  }
  Leave(State::kAtBarrier);
}

const std::array<LaneBytes, kWarp>& Block::Exchange(const LaneBytes& own, const Place& place,
                                                    bool barrier) {
  const int first = current_ / kWarp * kWarp;
  Warp& warp = warps_[static_cast<size_t>(current_ / kWarp)];
  const int turn = warp.turn;
  warp.values[turn][static_cast<size_t>(current_ - first)] = own;
  if (warp.arrived == 0) warp.place = place;
  if (warp.place.line != place.line || std::strcmp(warp.place.file, place.file) != 0) {
    Report(Cat("lanes of a warp meet that are at lines ", warp.place.line, " and ", place.line,
               " of ", place.file));
  }
  if (++warp.arrived == kWarp) {
    warp.arrived = 0;
    warp.turn = 1 - warp.turn;
    if (barrier) ++warp.barriers;
    Release(State::kInWarp, first, kWarp);
  } else {
    Leave(State::kInWarp);
  }
  return warp.values[turn];
}

// No thread can go on: some wait for threads that ended or wait elsewhere.
void Block::Untie() {
  for (size_t w = 0; w < warps_.size(); ++w) {
    if (warps_[w].arrived == 0) continue;
    Report(Cat("a shuffle or a warp's barrier that not all lanes reach (", warps_[w].arrived,
               " of 32 in warp ", w, " of block ", number_, ")"));
    warps_[w].arrived = 0;
    warps_[w].turn = 1 - warps_[w].turn;
    Release(State::kInWarp, static_cast<int>(w) * kWarp, kWarp);
    return;
  }
  Report(Cat("a barrier that not all threads reach (", at_barrier_, " of ", count_, " in block ",
             number_, ")"));
  at_barrier_ = 0;
  ++barriers_;
  Release(State::kAtBarrier, 0, count_);
}

void Block::Run(const GridSize& size, const std::function<void()>& kernel, uint32_t launch,
                uint32_t number, bool reversed) {
  kernel_ = &kernel;
  launch_ = launch, number_ = number, barriers_ = 0;
  count_ = size.threads, at_barrier_ = done_ = 0;
  shadow_.Forget(shared_used_ + dynamic_bytes_);
  shared_used_ = 0, dynamic_bytes_ = size.shared_bytes;
  declared_.clear();
  warps_.assign(static_cast<size_t>(count_ / kWarp), Warp());
  while (std::ssize(threads_) < count_) {
    threads_.emplace_back();
    Start(static_cast<int>(std::ssize(threads_)) - 1);
  }
  for (int i = 0; i < count_; ++i) threads_[static_cast<size_t>(i)].state = State::kReady;
  while (done_ < count_) {
    bool moved = false;
    for (int i = 0; i < count_; ++i) {
      const int thread = reversed ? count_ - 1 - i : i;
      if (threads_[static_cast<size_t>(thread)].state != State::kReady) continue;
      Resume(thread);
      moved = true;
    }
    if (!moved) Untie();
    reversed = !reversed;
  }
}

std::byte* Block::StaticShared(const void* tag, size_t bytes) {
  if (const auto found = declared_.find(tag); found != declared_.end()) return found->second;
  const size_t used = shared_used_ + (bytes + 15) / 16 * 16;
  if (used > kMostStatic || dynamic_bytes_ + used > kMostShared) {
    Report(Cat(used, " bytes of shared memory declared, and ", dynamic_bytes_, " asked for"));
    return shared_.data();
  }
  std::byte* at = shared_.data() + dynamic_bytes_ + shared_used_;
  shared_used_ = used;
  declared_.emplace(tag, at);
  return at;
}

std::byte* Block::DynamicShared(size_t* bytes) {
  *bytes = dynamic_bytes_;
  return shared_.data();
}

}  // namespace

void RunGrid(const GridSize& size, const std::function<void()>& kernel) {
  static uint32_t launches = 0;
  const uint32_t launch = ++launches;
  RETORT_CHECK(size.threads > 0 && size.threads <= 1024 && size.threads % kWarp == 0, size.threads,
               " threads in a block");
  RETORT_CHECK(size.shared_bytes <= kMostShared, size.shared_bytes, " bytes of shared memory");
  gridDim = size.blocks;
  blockDim = {static_cast<unsigned>(size.threads), 1, 1};
  const uint64_t blocks = uint64_t{gridDim.x} * gridDim.y * gridDim.z;
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t number = launch % 2 ? i : blocks - 1 - i;
    blockIdx = {static_cast<unsigned>(number % gridDim.x),
                static_cast<unsigned>(number / gridDim.x % gridDim.y),
                static_cast<unsigned>(number / gridDim.x / gridDim.y)};
    TheBlock().Run(size, kernel, launch, static_cast<uint32_t>(number), (launch / 2 + i) % 2 == 1);
  }
}

Toucher Self() { return TheBlock().Self(); }
void Fault(const char* what, int64_t element) {
  Report(Cat(what, ": element ", element, ", thread ", threadIdx.x, " of block (", blockIdx.x, ", ",
             blockIdx.y, ", ", blockIdx.z, ")"));
}
void BlockBarrier() { TheBlock().Barrier(); }
void WarpBarrier(const Place& place) { TheBlock().Exchange({}, place, true); }
const std::array<LaneBytes, 32>& Exchange(const LaneBytes& own, const Place& place) {
  return TheBlock().Exchange(own, place, false);
}
std::byte* StaticShared(const void* tag, size_t bytes) {
  return TheBlock().StaticShared(tag, bytes);
}
std::byte* DynamicSharedBytes(size_t* bytes) { return TheBlock().DynamicShared(bytes); }
Shadow& SharedShadow() { return TheBlock().shared_shadow(); }
size_t SharedOffset(const void* address) { return TheBlock().SharedOffset(address); }

void QueueCopy(std::function<void()> copy) {
  TheBlock().current().copies.back().push_back(std::move(copy));
}
void CommitQueued() { TheBlock().current().copies.emplace_back(); }
void WaitQueued(int pending) {
  auto& groups = TheBlock().current().copies;
  while (std::ssize(groups) - 1 > pending) {
    for (const auto& copy : groups.front()) copy();
    groups.erase(groups.begin());
  }
}

}  // namespace emulated
}  // namespace retort::cuda
