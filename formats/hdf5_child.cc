// SPDX-License-Identifier: Apache-2.0
// The parent's side: starts the child, and believes nothing that it sends.
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

#include "base/checked.h"
#include "formats/hdf5_handles.h"
#include "formats/hdf5_rows.h"

namespace retort {

using hdf5::Record;

namespace {

constexpr int kSilence = 120;  // seconds without a byte after which the child is ended
constexpr uint64_t kLargestText = 60'000;
constexpr uint64_t kMostItems = 1'000'000;

std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return text;
}

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
  template <class T>
  T Value() {
    T value;
    Read(&value, sizeof value);
    return value;
  }
  std::string Text(size_t longest) {
    const auto size = Value<uint32_t>();
    if (size > longest) throw InputError(place_, ": holds a text of ", size, " bytes");
    std::string out(size, '\0');
    Read(out.data(), out.size());
    return out;
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

class Receiver {
 public:
  Receiver(const Path& path, Hdf5Wanted wanted, int64_t most_bytes)
      : place_(path.string()),
        values_(wanted == Hdf5Wanted::kValues),
        room_(static_cast<uint64_t>(most_bytes)),
        child_(path, wanted, most_bytes) {}

  void Receive(const std::function<void(Hdf5Item&&)>& take) {
    for (uint64_t items = 0;; ++items) {
      const auto kind = child_.Value<uint8_t>();
      if (kind == static_cast<uint8_t>(Record::kEnd)) return child_.End();
      if (kind == static_cast<uint8_t>(Record::kFault)) ThrowFault();
      if (items == kMostItems) throw InputError(place_, ": holds more than ", items, " datasets");
      Hdf5Item item;
      item.name = Printable(child_.Text(hdf5::kLongestName));
      switch (static_cast<Record>(kind)) {
        case Record::kDataset:
          ReceiveDataset(item);
          break;
        case Record::kText:
          item.kind = Hdf5Item::Kind::kText;
          item.text = child_.Text(kLargestText);
          break;
        case Record::kInt:
          item.kind = Hdf5Item::Kind::kInt;
          item.integer = child_.Value<int64_t>();
          break;
        case Record::kNumber:
          item.kind = Hdf5Item::Kind::kNumber;
          item.number = child_.Value<double>();
          break;
        default:
          throw InputError(place_, ": is hostile: the process that read it sent nonsense");
      }
      take(std::move(item));
    }
  }

 private:
  void ReceiveDataset(Hdf5Item& item) {
    const std::string place = Cat(place_, ": dataset '", item.name, "'");
    const auto type = child_.Value<uint8_t>();
    for (const Hdf5Type t : kHdf5Types) {
      if (type == static_cast<uint8_t>(t)) item.type = t;
    }
    item.shape.resize(child_.Value<uint8_t>());
    for (int64_t& dim : item.shape) {
      dim = child_.Value<int64_t>();
      if (dim < 0) throw InputError(place, " has a dimension of ", dim);
    }
    item.stored_bytes = child_.Value<int64_t>();
    const auto bytes = child_.Value<uint64_t>();
    uint64_t want = 0;
    if (values_) {
      if (!item.type || item.shape.empty() || item.shape.size() > 2)
        throw InputError(place, " is none that Retort writes");
      want = hdf5::BytesOf(*item.type);
      for (const int64_t dim : item.shape)
        want = CheckedMul(want, static_cast<uint64_t>(dim), place);
    }
    if (bytes != want || want > room_)
      throw InputError(place, " has ", bytes, " bytes of values, expected ", want, ", at most ",
                       room_);
    room_ -= want;
    item.values.resize(want);
    child_.Read(item.values.data(), want);
  }

  [[noreturn]] void ThrowFault() {
    const std::string text = Printable(child_.Text(hdf5::kLongestFault));
    throw InputError(StartsWith(text, place_) ? "" : place_ + ": ", text);
  }

  const std::string place_;
  const bool values_;
  uint64_t room_;
  Child child_;
};

}  // namespace

void ReadHdf5InChild(const Path& path, Hdf5Wanted wanted, int64_t most_bytes,
                     const std::function<void(Hdf5Item&&)>& take) {
  Receiver(path, wanted, most_bytes).Receive(take);
}

}  // namespace retort
