// SPDX-License-Identifier: Apache-2.0
#include "base/confine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "base/error.h"

namespace retort {
namespace {

constexpr int64_t kMemory = int64_t{64} << 20;

// The exit status of `work` in a confined process; minus the signal that ended it.
int Confined(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    ConfineThisProcess(kMemory, 1);
    ::_exit(work());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(Confine, ComputesAndWritesToWhatIsOpen) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  EXPECT_EQ(Confined([&] {
              const std::string text(3000, 'x');
              return ::write(ends[1], text.data(), text.size()) == 3000 ? 7 : 1;
            }),
            7);
  std::string got(4000, '\0');
  EXPECT_EQ(::read(ends[0], got.data(), got.size()), 3000);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Confine, OpensNothing) {
  EXPECT_EQ(Confined([] { return ::open("/dev/null", O_RDONLY) < 0 ? 7 : 1; }), 7);
  EXPECT_EQ(Confined([] { return ::open("/tmp", O_TMPFILE | O_WRONLY, 0600) < 0 ? 7 : 1; }), 7);
  EXPECT_EQ(Confined([] { return ::socket(AF_INET, SOCK_STREAM, 0) < 0 ? 7 : 1; }), 7);
  // Not even by closing something first.
  EXPECT_EQ(Confined([] {
              ::close(0);
              return ::open("/dev/null", O_RDONLY) < 0 ? 7 : 1;
            }),
            7);
}

TEST(Confine, TakesNoMoreMemoryThanAllowed) {
  const auto take = [](size_t bytes) {
    return [bytes] {
      void* p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      return p == MAP_FAILED ? 7 : 1;
    };
  };
  EXPECT_EQ(Confined(take(kMemory / 2)), 1);
  EXPECT_EQ(Confined(take(2 * kMemory)), 7);
}

TEST(Confine, TakesNoMoreTimeThanAllowed) {
  EXPECT_LT(Confined([] {
              for (volatile bool forever = true; forever;) {
              }
              return 1;
            }),
            0);
}

}  // namespace
}  // namespace retort
