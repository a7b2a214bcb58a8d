// SPDX-License-Identifier: Apache-2.0
#include "base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/open_file.h"

namespace retort {
namespace {

// Whether the open file is still the one at `path`. The holder unlinks the file before it releases
// the lock.
bool IsAt(int fd, const Path& path) {
  struct stat open, there;
  return ::fstat(fd, &open) == 0 && ::stat(path.c_str(), &there) == 0 &&
         open.st_dev == there.st_dev && open.st_ino == there.st_ino;
}

// What a lock file has, or the beginning of what another has.
std::string TextOf(int fd) {
  char text[32];
  const ssize_t n = ::pread(fd, text, sizeof text, 0);
  return {text, n > 0 ? static_cast<size_t>(n) : 0};
}

bool IsDigits(const std::string& text) {
  return text.find_first_not_of("0123456789") == std::string::npos;
}

std::string HolderOf(int fd) {
  const std::string id = TextOf(fd);
  return !id.empty() && IsDigits(id) ? Cat("process ", id) : "another process";
}

}  // namespace

FileLock::FileLock(const Path& file, const std::string& subject) : path_(file) {
  for (;;) {
    // O_NOFOLLOW: a link laid in the lock's place must not empty the file behind it.
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
    if (fd_ < 0) throw Failure(path_.string(), ": cannot be made: ", ErrnoText());
    struct stat info;
    if (::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
      ::close(fd_);
      throw InputError(path_.string(), ": ", KindOfFile(info.st_mode), "; remove it");
    }
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      const bool held = errno == EWOULDBLOCK;
      const std::string who = held ? HolderOf(fd_) : ErrnoText();
      ::close(fd_);
      if (!held) throw Failure(path_.string(), ": cannot be locked: ", who);
      throw InputError(subject, ": ", who, " is writing it; wait until that has ended");
    }
    if (IsAt(fd_, path_)) break;
    ::close(fd_);
  }
  if (!IsDigits(TextOf(fd_))) {
    ::close(fd_);
    throw InputError(path_.string(), ": is no lock file, and one is needed there; move it away");
  }
  const std::string id = Cat(::getpid());
  // The id is used only in messages, so a failure to write it is ignored.
  if (::ftruncate(fd_, 0) == 0) [[maybe_unused]]
    const auto n = ::pwrite(fd_, id.data(), id.size(), 0);
}

FileLock::~FileLock() {
  ::unlink(path_.c_str());
  ::close(fd_);
}

}  // namespace retort
