// SPDX-License-Identifier: Apache-2.0
#include "base/temporary.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/error.h"
#include "base/file_calls.h"
#include "base/hex.h"
#include "base/open_file.h"

namespace retort {
namespace {

constexpr std::string_view kEnding = ".partial";
constexpr size_t kDigits = 16;
constexpr size_t kLongestStart = 200;  // bytes of the target's name; a name has at most 255
constexpr int kTries = 100;

// ".TARGET.", the start of the names of a target's temporary files.
std::string StartOf(const Path& target) {
  return Cat(".", target.filename().string().substr(0, kLongestStart), ".");
}

std::string RandomDigits(const Path& target) {
  uint64_t bits = 0;
  while (::getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) {
    if (errno != EINTR) throw Failure(target.string(), ": no random numbers: ", ErrnoText());
  }
  return HexText(bits, kDigits);
}

// Whether the name is one that this file gives, for a target whose names begin with `start`; an
// empty start stands for any target.
bool IsTemporary(std::string_view name, std::string_view start) {
  if (!name.starts_with(start.empty() ? "." : start) || !name.ends_with(kEnding)) return false;
  name.remove_suffix(kEnding.size());
  if (name.size() < start.size() + kDigits + (start.empty() ? 2 : 0)) return false;
  const std::string_view digits = name.substr(name.size() - kDigits);
  name.remove_suffix(kDigits);
  return digits.find_first_not_of(kHexDigits) == std::string_view::npos &&
         (start.empty() ? name.ends_with(".") : name == start);
}

// Whether the open file is this user's and still the one at `path`.
bool IsOursAt(int fd, const Path& path) {
  struct stat open, there;
  return ::fstat(fd, &open) == 0 && ::lstat(path.c_str(), &there) == 0 &&
         open.st_dev == there.st_dev && open.st_ino == there.st_ino && open.st_uid == ::geteuid() &&
         (S_ISREG(open.st_mode) || S_ISDIR(open.st_mode));
}

// Removes the file or folder if nobody holds its lock. What cannot be removed stays, without a
// word: it is nobody's result.
void RemoveIfAbandoned(const Path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  std::error_code ignored;
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0 && IsOursAt(fd, path)) {
    std::filesystem::remove_all(path, ignored);
  }
  ::close(fd);
}

void RemoveLeftoversThatBegin(const Path& folder, std::string_view start) {
  std::vector<Path> found;
  std::error_code problem;
  std::filesystem::directory_iterator at(folder, problem);
  for (const std::filesystem::directory_iterator end; !problem && at != end;
       at.increment(problem)) {
    if (IsTemporary(at->path().filename().string(), start)) found.push_back(at->path());
  }
  for (const Path& path : found) RemoveIfAbandoned(path);
}

}  // namespace

void RemoveLeftovers(const Path& folder) { RemoveLeftoversThatBegin(folder, ""); }

Temporary::Temporary(const Path& target, Kind kind) {
  const Path folder = FolderOf(target);
  const std::string start = StartOf(target);
  RemoveLeftoversThatBegin(folder, start);
  const char* cannot = kind == Kind::kFile ? ": cannot be written: " : ": cannot be made: ";
  for (int i = 0; i < kTries; ++i) {
    path_ = folder / Cat(start, RandomDigits(target), kEnding);
    if (kind == Kind::kFile) {
      fd_ = calls::MakeFile(path_);
    } else if (calls::MakeFolder(path_) == 0) {
      fd_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (fd_ < 0) ::rmdir(path_.c_str());
    }
    if (fd_ < 0 && errno == EEXIST) continue;
    if (fd_ < 0) throw Failure(target.string(), cannot, ErrnoText());
    if (Locked()) return;
    ::close(fd_);
    fd_ = -1;
  }
  throw Failure(target.string(), cannot, "every temporary name is taken");
}

// False if another process took it for a leftover in the moment between making and locking. A file
// system without locks locks nothing and, as nobody gets a lock, loses nothing.
bool Temporary::Locked() const {
  int status;
  while ((status = ::flock(fd_, LOCK_EX)) != 0 && errno == EINTR) {
  }
  return status != 0 || IsOursAt(fd_, path_);
}

Temporary::~Temporary() {
  std::error_code ignored;
  if (!released_) std::filesystem::remove_all(path_, ignored);
  ::close(fd_);
}

}  // namespace retort
