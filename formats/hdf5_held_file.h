// SPDX-License-Identifier: Apache-2.0
// The bytes of a file that are first checked and then used.
#pragma once

#include <vector>

#include "base/file.h"

namespace retort::hdf5 {

// A regular file's bytes, which nobody else can change between check and use: mapped if only this
// user may write the file (renaming another file to its path changes nothing then), and otherwise
// copied into memory.
class HeldFile {
 public:
  // Throws Error{kInput} with the path when it cannot be opened or is no regular file.
  explicit HeldFile(const Path& path);
  ~HeldFile();
  HeldFile(const HeldFile&) = delete;
  HeldFile& operator=(const HeldFile&) = delete;

  Bytes bytes() const { return bytes_; }

 private:
  void Hold(const Path& path, int fd);

  Bytes bytes_;
  void* mapping_ = nullptr;
  std::vector<std::byte> copy_;
};

}  // namespace retort::hdf5
