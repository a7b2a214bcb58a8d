// SPDX-License-Identifier: Apache-2.0
// Exclusion between processes that write the same files.
#pragma once

#include <string>

#include "base/file.h"

namespace retort {

// An exclusive lock (flock) on a lock file that contains the process's id. The file is removed with
// the lock. The lock ends when the process ends for any reason; a lock file left by a killed
// process is taken over.
class FileLock {
 public:
  // `subject` is what the lock protects; it begins the error text. Throws Error{kInput} with the id
  // of the process that holds the lock; Error{kFailure} when the file cannot be created.
  FileLock(const Path& file, const std::string& subject);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  Path path_;
  int fd_ = -1;
};

}  // namespace retort
