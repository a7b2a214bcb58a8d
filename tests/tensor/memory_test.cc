// SPDX-License-Identifier: Apache-2.0
// Counts what tensor/memory.cc asks the system for.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>

#include "base/threads.h"
#include "tensor/tensor.h"

namespace {
std::atomic<int64_t> asked{0};
}  // namespace

extern "C" void* aligned_alloc(size_t alignment, size_t bytes) {
  ++asked;
  void* data = nullptr;
  return posix_memalign(&data, alignment, bytes) == 0 ? data : nullptr;
}

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
  for (const int64_t bytes : {1000, 1 << 20}) {
    memory->Allocate(bytes);
    const int64_t before = asked;
    for (int i = 0; i < 3; ++i) memory->Allocate(bytes);
    EXPECT_EQ(asked, before) << bytes;
    memory->Trim();
    memory->Allocate(bytes);
    EXPECT_GT(asked, before) << bytes;
  }
}

TEST(HostMemory, BuffersMayOutliveIt) {
  auto memory = MakeHostMemory();
  const std::shared_ptr<Buffer> buffer = memory->Allocate(1 << 20);
  memory.reset();
  buffer->data()[(1 << 20) - 1] = std::byte{1};
}

// It takes no lock, so threads that allocate beside each other would spoil it.
TEST(HostMemory, RefusesARoundOfThreads) {
  const auto memory = MakeHostMemory();
  ThreadPool pool(2);
  EXPECT_THROW(pool.For(4, [&](int64_t, int) { memory->Allocate(64); }), Error);
  EXPECT_EQ(memory->Allocate(64)->bytes(), 64);
}

}  // namespace
}  // namespace retort
