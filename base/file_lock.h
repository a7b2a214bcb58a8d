// SPDX-License-Identifier: Apache-2.0
// What only one process at a time may write.
#pragma once

#include <string>

#include "base/file.h"

namespace retort {

// An exclusive lock (flock) on a file made for it, which holds the process's id and is gone with
// the lock. Ends with the process, however that ends: a file that a killed one left is taken over.
class FileLock {
 public:
  // `subject` is what the lock is for, the first word of the refusal. Throws Error{kInput} naming
  // the process that has it; Error{kFailure} when the file cannot be made.
  FileLock(const Path& file, const std::string& subject);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  Path path_;
  int fd_ = -1;
};

}  // namespace retort
