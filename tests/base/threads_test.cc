// SPDX-License-Identifier: Apache-2.0
#include "base/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "base/error.h"

namespace retort {
namespace {

TEST(ThreadPool, RunsEveryPieceOnce) {
  ThreadPool pool(4);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::atomic<int>> seen(97);
    pool.For(97, [&](int64_t i, int worker) {
      ASSERT_LT(worker, 4);
      ++seen[static_cast<size_t>(i)];
    });
    for (const auto& n : seen) ASSERT_EQ(n, 1);
  }
}

TEST(ThreadPool, RethrowsAndStaysUsable) {
  ThreadPool pool(3);
  EXPECT_THROW(pool.For(50,
                        [](int64_t i, int) {
                          if (i == 20) throw InputError("x");
                        }),
               Error);
  std::atomic<int> count{0};
  pool.For(50, [&](int64_t, int) { ++count; });
  EXPECT_EQ(count, 50);
}

TEST(ThreadPool, ANestedCallRunsInline) {
  ThreadPool pool(2);
  std::atomic<int> count{0};
  pool.For(4, [&](int64_t, int outer) {
    pool.For(5, [&](int64_t, int inner) {
      EXPECT_EQ(inner, outer);
      ++count;
    });
  });
  EXPECT_EQ(count, 20);
}

}  // namespace
}  // namespace retort
