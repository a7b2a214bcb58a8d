// SPDX-License-Identifier: Apache-2.0
#include "base/file_reader.h"

#include <cerrno>

#include "base/error.h"
#include "base/open_file.h"

namespace retort {

std::shared_ptr<const FileReader> FileReader::Open(const Path& path) {
  struct stat info {};
  const int fd = OpenRegular(path, info);
  return std::make_shared<const FileReader>(fd, path);
}

FileReader::~FileReader() { ::close(fd_); }

uint64_t FileReader::size() const {
  struct stat info {};
  return ::fstat(fd_, &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

void FileReader::Read(uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t n = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Failure(path_.string(), ": cannot be read: ", ErrnoText());
    if (n == 0) throw Failure(path_.string(), ": ends at byte ", offset, ", before its content");
    out = out.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
}

}  // namespace retort
