// SPDX-License-Identifier: Apache-2.0
#include "base/file_lock.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

namespace retort {
namespace {

class FileLockTest : public ::testing::Test {
 protected:
  FileLockTest() { std::filesystem::remove(path_); }
  // What trying to take the lock says.
  std::string Refusal() const {
    try {
      const FileLock lock(path_, "the work");
      return "";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kInput);
      return e.what();
    }
  }
  Path path_ = Path(::testing::TempDir()) / Cat("retort_lock_", ::getpid());
};

TEST_F(FileLockTest, IsGoneWithItsHolder) {
  {
    const FileLock lock(path_, "the work");
    EXPECT_EQ(Refusal(),
              Cat("the work: process ", ::getpid(), " is writing it; wait until that has ended"));
    EXPECT_TRUE(std::filesystem::exists(path_));
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_EQ(Refusal(), "");
}

// A process that has it keeps others out while it lives, and no longer, even when it is killed.
TEST_F(FileLockTest, AKilledProcessLeavesAFileThatIsTakenOver) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const FileLock lock(path_, "the work");
    if (write(ready[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_EQ(Refusal(),
            Cat("the work: process ", child, " is writing it; wait until that has ended"));
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(std::filesystem::exists(path_));
  EXPECT_EQ(Refusal(), "");
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(FileLockTest, AFolderThatIsNotThere) {
  EXPECT_THROW(FileLock(path_ / "x" / "lock", "the work"), Error);
}

TEST_F(FileLockTest, LeavesAFileThatIsNoLock) {
  WriteTextAtomically(path_, "12 precious words");
  EXPECT_NE(Refusal().find("is no lock file"), std::string::npos);
  EXPECT_EQ(ReadText(path_), "12 precious words");
  std::filesystem::remove(path_);
}

// A link laid where the lock file would be is not followed: what it points to stays as it is.
TEST_F(FileLockTest, FollowsNoLink) {
  const Path other = path_.string() + "_other";
  WriteTextAtomically(other, "precious");
  std::filesystem::create_symlink(other, path_);
  EXPECT_THROW(FileLock(path_, "the work"), Error);
  EXPECT_EQ(ReadText(other), "precious");
  std::filesystem::remove(other);
  std::filesystem::remove(path_);
}

}  // namespace
}  // namespace retort
