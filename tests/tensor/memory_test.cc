// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <vector>

#include "base/random.h"
#include "base/threads.h"
#include "tensor/arena.h"
#include "tensor/tensor.h"

namespace retort {
namespace {

TEST(HostMemory, CountsWhatIsHandedOut) {
  const auto memory = MakeHostMemory();
  for (const int64_t bytes : {0, 1, 1000, 1 << 20, (4 << 20) + 1}) {
    memory->ResetPeak();
    std::shared_ptr<Buffer> buffer = memory->Allocate(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % 64, 0u);
    EXPECT_EQ(buffer->bytes(), bytes);
    EXPECT_GE(memory->live_bytes(), bytes);
    EXPECT_LE(memory->live_bytes(), bytes / 8 * 9 + 64);
    buffer.reset();
    EXPECT_EQ(memory->live_bytes(), 0);
    EXPECT_GE(memory->peak_bytes(), bytes);
  }
}

TEST(HostMemory, HandsOutAgainWhatWasGivenBackUntilTrimmed) {
  const auto memory = MakeHostMemory();
  for (const int64_t bytes : {1000, 1 << 20, 200 << 20}) {
    const std::byte* const first = memory->Allocate(bytes)->data();
    const int64_t held = memory->held_bytes();
    EXPECT_GE(held, bytes);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(memory->Allocate(bytes)->data(), first) << bytes;
    EXPECT_EQ(memory->held_bytes(), held) << bytes;
    memory->Trim();
    EXPECT_EQ(memory->held_bytes(), 0) << bytes;
  }
}

// Blocks of sizes that drift, given back in any order: none overlaps another or loses its bytes,
// and what lies free is merged, so that the arena stays close to what was live.
TEST(Arena, MergesWhatIsGivenBack) {
  Arena arena;
  RandomStream random(MakeKey(3, RandomUse::kData));
  std::map<std::byte*, std::pair<int64_t, std::byte>> blocks;
  int64_t live = 0, peak = 0;
  for (int i = 0; i < 20000; ++i) {
    if (random.Uniform() < 0.5 && !blocks.empty()) {
      auto at = blocks.upper_bound(
          std::next(blocks.begin(), static_cast<int64_t>(random.Below(blocks.size())))->first);
      if (at == blocks.end()) at = blocks.begin();
      const auto [size, mark] = at->second;
      ASSERT_EQ(at->first[0], mark);
      ASSERT_EQ(at->first[size - 1], mark);
      arena.Free(at->first);
      live -= size;
      blocks.erase(at);
      continue;
    }
    const int64_t top = int64_t{1} << (6 + i / 1500),
                  size = 1 + static_cast<int64_t>(random.Below(static_cast<uint64_t>(top)));
    std::byte* const data = arena.Allocate(size);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(data) % 64, 0u);
    const auto next = blocks.lower_bound(data);
    ASSERT_TRUE(next == blocks.end() || data + size <= next->first);
    ASSERT_TRUE(next == blocks.begin() ||
                std::prev(next)->first + std::prev(next)->second.first <= data);
    const auto mark = static_cast<std::byte>(i);
    data[0] = data[size - 1] = mark;
    blocks[data] = {size, mark};
    live += size;
    peak = std::max(peak, live);
  }
  EXPECT_LE(arena.held_bytes(), std::max<int64_t>(peak * 3 / 2, 64 << 20));
  for (const auto& [data, _] : blocks) arena.Free(data);
  arena.Trim();
  EXPECT_EQ(arena.held_bytes(), 0);
}

TEST(Arena, KeepsWhatIsUsedWhenItIsTrimmed) {
  Arena arena;
  std::byte *const a = arena.Allocate(3 << 20), *const b = arena.Allocate(3 << 20),
                   *const c = arena.Allocate(100);
  a[0] = c[99] = std::byte{7};
  arena.Free(b);
  arena.Trim();
  EXPECT_EQ(a[0], std::byte{7});
  EXPECT_EQ(c[99], std::byte{7});
  EXPECT_EQ(arena.Allocate(3 << 20), b);
  EXPECT_EQ(b[1 << 20], std::byte{0});  // its pages went back to the system
}

TEST(HostMemory, BuffersMayOutliveIt) {
  auto memory = MakeHostMemory();
  const auto buffer = memory->Allocate(1 << 20), lasting = memory->AllocateLasting(1 << 20);
  memory.reset();
  for (const auto& one : {buffer, lasting}) {
    one->data()[(1 << 20) - 1] = std::byte{1};
    EXPECT_EQ(one->data()[(1 << 20) - 1], std::byte{1});
  }
}

TEST(HostMemory, LaysLastingBuffersOneBehindTheOther) {
  const auto memory = MakeHostMemory();
  const std::vector<int64_t> sizes = {1000, 3 << 20, 64, 100 << 20, 5000};
  std::vector<std::shared_ptr<Buffer>> buffers;
  for (const int64_t bytes : sizes) {
    buffers.push_back(memory->AllocateLasting(bytes));
    EXPECT_EQ(buffers.back()->bytes(), bytes);
    buffers.back()->data()[0] = buffers.back()->data()[bytes - 1] = std::byte{1};
  }
  EXPECT_EQ(buffers[1]->data(), buffers[0]->data() + 1024);
  EXPECT_EQ(buffers[2]->data(), buffers[1]->data() + (3 << 20));
  EXPECT_NE(buffers[3]->data(), buffers[2]->data() + 64);  // too large for what is left there
  EXPECT_EQ(memory->live_bytes(), 1024 + (3 << 20) + 64 + (100 << 20) + 5056);

  std::byte* const last = buffers[4]->data();
  buffers[3].reset();
  EXPECT_NE(memory->AllocateLasting(5000)->data(), last);
  buffers.clear();
  EXPECT_EQ(memory->live_bytes(), 0);
  EXPECT_EQ(memory->AllocateLasting(5000)->data(), last);  // nobody is left beside it
}

// It takes no lock, so threads that allocate beside each other would spoil it.
TEST(HostMemory, RefusesARoundOfThreads) {
  const auto memory = MakeHostMemory();
  ThreadPool pool(2);
  EXPECT_THROW(pool.For(4, [&](int64_t, int) { memory->Allocate(64); }), Error);
  EXPECT_THROW(pool.For(4, [&](int64_t, int) { memory->AllocateLasting(64); }), Error);
  EXPECT_EQ(memory->Allocate(64)->bytes(), 64);
}

}  // namespace
}  // namespace retort
