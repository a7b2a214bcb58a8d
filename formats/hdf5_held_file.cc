// SPDX-License-Identifier: Apache-2.0
#include "formats/hdf5_held_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace retort::hdf5 {

HeldFile::HeldFile(const Path& path) {
  // O_NONBLOCK: opening a pipe would wait for a writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) throw InputError(path.string(), ": cannot be opened: ", ErrnoText());
  try {
    Hold(path, fd);
  } catch (...) {
    ::close(fd);
    throw;
  }
  ::close(fd);
}

void HeldFile::Hold(const Path& path, int fd) {
  struct stat info;
  if (::fstat(fd, &info) != 0) throw InputError(path.string(), ": ", ErrnoText());
  if (!S_ISREG(info.st_mode)) throw InputError(path.string(), ": is not a regular file");
  const auto size = static_cast<size_t>(info.st_size);
  if (size == 0) return;
  const bool mine_alone = info.st_uid == ::geteuid() && (info.st_mode & 022) == 0;
  if (mine_alone) {
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) throw Failure(path.string(), ": cannot be mapped: ", ErrnoText());
    mapping_ = data;
    bytes_ = {static_cast<const std::byte*>(data), size};
    return;
  }
  copy_.resize(size);
  size_t have = 0;
  while (have < size) {
    const ssize_t n = ::pread(fd, copy_.data() + have, size - have, static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw InputError(path.string(), ": cannot be read: ", ErrnoText());
    if (n == 0) break;  // shortened meanwhile
    have += static_cast<size_t>(n);
  }
  bytes_ = Bytes(copy_).first(have);
}

HeldFile::~HeldFile() {
  if (mapping_) ::munmap(mapping_, bytes_.size());
}

}  // namespace retort::hdf5
