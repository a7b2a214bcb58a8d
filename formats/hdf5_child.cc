// SPDX-License-Identifier: Apache-2.0
// The parent's side: starts the child. formats/hdf5_items.h reads what it sends.
#include "formats/hdf5_child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "formats/hdf5_items.h"

namespace retort {
namespace {

constexpr int kSilence = 120;  // seconds without a byte after which the child is ended

// This process's, but libraries start no threads: one that starts while the child limits its own
// memory would crash it.
std::vector<char*> Environment() {
  static char blas[] = "OPENBLAS_NUM_THREADS=1", omp[] = "OMP_NUM_THREADS=1";
  std::vector<char*> variables;
  for (char** v = environ; *v; ++v) {
    const std::string_view variable = *v;
    if (!variable.starts_with("OPENBLAS_NUM_THREADS=") && !variable.starts_with("OMP_NUM_THREADS="))
      variables.push_back(*v);
  }
  variables.insert(variables.end(), {blas, omp, nullptr});
  return variables;
}

// The child and the pipe that it writes to. Ends the child if it still runs.
class Child {
 public:
  Child(const Path& path, Hdf5Wanted wanted, int64_t most_bytes) : place_(path.string()) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw Failure(place_, ": no pipe: ", ErrnoText());
    pipe_ = ends[0];
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    std::string command = kHdf5ChildCommand, most = Cat(most_bytes), end = "--", file = place_,
                what = wanted == Hdf5Wanted::kValues ? "values" : "names";
    std::array<char*, 6> arguments = {command.data(), command.data(), what.data(),
                                      most.data(),    end.data(),     file.data()};
    std::vector<char*> argv(arguments.begin(), arguments.end());
    argv.push_back(nullptr);
    std::vector<char*> variables = Environment();
    const int status = ::posix_spawn(&process_, "/proc/self/exe", &actions, nullptr, argv.data(),
                                     variables.data());
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (status == 0) return;
    ::close(pipe_);
    errno = status;
    throw Failure(place_, ": cannot be read in a process of its own: ", ErrnoText());
  }
  ~Child() {
    ::close(pipe_);
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    Wait();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void Read(void* to, size_t bytes) {
    auto* at = static_cast<char*>(to);
    while (bytes > 0) {
      pollfd wait = {pipe_, POLLIN, 0};
      const int ready = ::poll(&wait, 1, kSilence * 1000);
      if (ready < 0 && errno == EINTR) continue;
      if (ready == 0) throw InputError(place_, ": took more than ", kSilence, " s to read");
      const ssize_t n = ::read(pipe_, at, bytes);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) Died();
      at += n;
      bytes -= static_cast<size_t>(n);
    }
  }
  // Throws Error{kInput} unless the child ends well.
  void End() {
    if (Wait() != 0) Died();
  }

 private:
  int Wait() {
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    process_ = -1;
    return status;
  }

  [[noreturn]] void Died() {
    const int status = process_ > 0 ? Wait() : 0;
    const std::string how = !WIFSIGNALED(status) ? "failed"
                            : WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL
                                ? "was ended at its limit of time or memory"
                                : Cat("crashed (", ::strsignal(WTERMSIG(status)), ")");
    throw InputError(place_, ": is damaged or hostile: the process that read it ", how,
                     "; get or make the file again");
  }

  std::string place_;
  int pipe_ = -1;
  pid_t process_ = -1;
};

}  // namespace

void ReadHdf5InChild(const Path& path, Hdf5Wanted wanted, int64_t most_bytes,
                     const std::function<void(Hdf5Item&&)>& take) {
  Child child(path, wanted, most_bytes);
  hdf5::ReadItems([&](void* to, size_t bytes) { child.Read(to, bytes); }, path.string(), wanted,
                  most_bytes, take);
  child.End();
}

}  // namespace retort
