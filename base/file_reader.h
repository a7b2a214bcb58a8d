// SPDX-License-Identifier: Apache-2.0
// Reads parts of a file without mapping it, so that no page of it counts as the process's memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/file.h"

namespace retort {

// The file stays readable when it is removed or replaced. Thread-safe.
class FileReader {
 public:
  // Throws Error{kInput} with the path when the file cannot be opened or is no regular file.
  static std::shared_ptr<const FileReader> Open(const Path& path);
  // Takes over an open descriptor. `path` is for messages.
  FileReader(int fd, Path path) : path_(std::move(path)), fd_(fd) {}
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  const Path& path() const { return path_; }
  uint64_t size() const;  // now
  // Fills `out` with the bytes from `offset` on. Throws Error{kFailure} if the file ends before, or
  // cannot be read.
  void Read(uint64_t offset, std::span<std::byte> out) const;

 private:
  Path path_;
  int fd_;
};

}  // namespace retort
