// SPDX-License-Identifier: Apache-2.0
#include "base/file_calls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>

#include "base/error.h"

namespace retort {
namespace {

std::atomic<const FileHook*> installed{nullptr};

// Whether the call is to be made; `verdict` may shorten it. If not, errno says why.
bool Passes(FileChange change, const Path& path, FileVerdict& verdict) {
  const FileHook* hook = installed.load(std::memory_order_acquire);
  if (!hook) return true;
  verdict = (*hook)(change, path);
  errno = verdict.error;
  return verdict.error == 0;
}

bool Passes(FileChange change, const Path& path) {
  FileVerdict verdict;
  return Passes(change, path, verdict);
}

}  // namespace

FileFaults::FileFaults(FileHook hook) : hook_(std::move(hook)) {
  RETORT_CHECK(!installed.load(), "two hooks for files at once");
  installed.store(&hook_, std::memory_order_release);
}

FileFaults::~FileFaults() { installed.store(nullptr, std::memory_order_release); }

namespace calls {

int MakeFile(const Path& path) {
  if (!Passes(FileChange::kMake, path)) return -1;
  return ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
}

int OpenForAppending(const Path& path) {
  if (!Passes(FileChange::kMake, path)) return -1;
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                0644);
}

int MakeFolder(const Path& path) {
  if (!Passes(FileChange::kMake, path)) return -1;
  return ::mkdir(path.c_str(), 0777);
}

ssize_t Write(int fd, const Path& path, Bytes bytes, std::optional<uint64_t> offset) {
  FileVerdict verdict;
  if (!Passes(FileChange::kWrite, path, verdict)) return -1;
  const size_t size = std::min(bytes.size(), verdict.most);
  for (;;) {
    const ssize_t n = offset ? ::pwrite(fd, bytes.data(), size, static_cast<off_t>(*offset))
                             : ::write(fd, bytes.data(), size);
    if (n >= 0 || errno != EINTR) return n;
  }
}

int Sync(int fd, const Path& path) {
  if (!Passes(FileChange::kSync, path)) return -1;
  return ::fsync(fd);
}

int Rename(const Path& from, const Path& to) {
  if (!Passes(FileChange::kRename, to)) return -1;
  return ::rename(from.c_str(), to.c_str());
}

int Exchange(const Path& a, const Path& b) {
  if (!Passes(FileChange::kRename, b)) return -1;
  return ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE);
}

}  // namespace calls
}  // namespace retort
