// SPDX-License-Identifier: Apache-2.0
// Counts what tensor/memory.cc asks the system for.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <vector>

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
  const auto buffer = memory->Allocate(1 << 20), lasting = memory->AllocateLasting(1 << 20);
  memory.reset();
  buffer->data()[(1 << 20) - 1] = lasting->data()[(1 << 20) - 1] = std::byte{1};
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
