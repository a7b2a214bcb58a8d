// SPDX-License-Identifier: Apache-2.0
// Temporary files and folders beside their targets.
//
// Their names, ".TARGET.0123456789abcdef.partial", hold 64 random bits and must be new, so nobody
// can lay a link in their way. Whoever writes one holds an exclusive lock (flock) on it, which ends
// with the process. So what a killed process left can be told from what a live one is writing, also
// across containers.
#pragma once

#include "base/file.h"

namespace retort {

// A locked temporary file (open for reading and writing) or folder (open for locking only).
class Temporary {
 public:
  enum class Kind { kFile, kFolder };

  // Removes what killed processes left of the same target, then makes a new one. Throws
  // Error{kFailure} with the target and the cause.
  Temporary(const Path& target, Kind kind);
  // Unless released, removes the file, or the folder with all that it holds.
  ~Temporary();
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  const Path& path() const { return path_; }
  int fd() const { return fd_; }
  void Release() { released_ = true; }  // it has another name now

 private:
  bool Locked() const;

  Path path_;
  int fd_ = -1;
  bool released_ = false;
};

}  // namespace retort
