// SPDX-License-Identifier: Apache-2.0
// The file or folder that a command makes: checked before any work, and written by one process.
#pragma once

#include <string>
#include <vector>

#include "base/file_lock.h"

namespace retort {

enum class TargetKind : uint8_t {
  kFile,    // may exist and is then replaced
  kFolder,  // must not exist, or be empty
};

// Checks, without writing anything, that a command may make `out`. `sources` are the files and
// folders that it reads. Throws Error{kInput} when `out` is a device, a pipe or a socket, is of the
// other kind, is a folder with content, or is part of a source (the source itself, or a file of a
// source's folder by a name that models and adapters have). Throws Error{kFailure} when its folder
// cannot be written.
void CheckTarget(const Path& out, TargetKind kind, const std::vector<Path>& sources = {});

// Holds a target while it is made. Throws Error{kInput} naming the process that makes it now.
class TargetLock {
 public:
  explicit TargetLock(const Path& out);

 private:
  FileLock lock_;
};

}  // namespace retort
