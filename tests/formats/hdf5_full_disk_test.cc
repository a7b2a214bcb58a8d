// SPDX-License-Identifier: Apache-2.0
// Writing where there is no room: one error of our own, and a process that ends as usual.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/formats/hdf5_samples.h"

namespace retort {
namespace {

// In a process of its own that may write files of at most `most` bytes: 0 when it wrote, 1 when
// that failed with the error that it should.
int WriteWithRoom(const Path& path, rlim_t most) {
  ::signal(SIGXFSZ, SIG_IGN);  // the system's write fails with EFBIG instead
  const rlimit limit = {most, most};
  if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
  try {
    WriteSample(path);
    return 0;
  } catch (const Error& e) {
    const std::string text = e.what();
    const bool ours = e.kind() == Error::Kind::kFailure &&
                      text == Cat(path.string(), ": cannot be written: File too large");
    return ours ? 1 : 2;
  }
}

TEST(Hdf5FullDisk, IsOneErrorAndNoSignal) {
  TemporaryFolder folder;
  WriteSample(folder / "good.h5");
  const auto size = std::filesystem::file_size(folder / "good.h5");
  for (rlim_t room = 0; room <= size + 1024; room += 1024) {
    const Path path = folder / "full.h5";
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) std::exit(WriteWithRoom(path, room));  // what runs at exit runs
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status)) << "room for " << room << ": signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), room < size ? 1 : 0) << "room for " << room;
    EXPECT_EQ(folder.Entries(), room < size ? 1u : 2u) << "room for " << room;
  }
  EXPECT_EQ(ReadText(folder / "full.h5"), ReadText(folder / "good.h5"));
}

}  // namespace
}  // namespace retort
