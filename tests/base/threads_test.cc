// SPDX-License-Identifier: Apache-2.0
#include "base/threads.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

// A pool that gets too few threads stops those that it has and says so. The limit on the address
// space, in a process of its own, is what the system runs out of.
TEST(ThreadPool, ThatGetsNoThreadsFails) {
#ifdef RETORT_SANITIZED
  GTEST_SKIP() << "the sanitizers need the address space";
#endif
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::alarm(30);
    const rlimit limit = {400u << 20, 400u << 20};  // stacks have 8 MiB each
    ::setrlimit(RLIMIT_AS, &limit);
    try {
      const ThreadPool pool(1000);
    } catch (const Error& e) {
      const std::string_view what = e.what();
      const bool told = what.starts_with("1000 threads: only ") &&
                        what.find("--threads") != std::string_view::npos;
      ::_exit(e.kind() == Error::Kind::kFailure && told ? 0 : 1);
    }
    ::_exit(2);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "it hung: signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Threads, AreThoseWantedOrOneForEachProcessor) {
  EXPECT_EQ(ThreadsFor(3), 3);
  EXPECT_EQ(ThreadsFor(0), AvailableProcessors());
  EXPECT_EQ(ThreadsFor(-1), AvailableProcessors());
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
