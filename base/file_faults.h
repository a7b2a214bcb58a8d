// SPDX-License-Identifier: Apache-2.0
// A seam for tests: every call by which base/file.h changes a disk asks an installed hook first.
// The hook lets the call pass, makes it fail with an errno, makes a write short, or ends the
// process (a crash). Without a hook, which is always so outside tests, it costs one load for each
// call. tests/support/fault_at.h makes hooks that act at the k-th call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/file.h"

namespace retort {

// A call that changes what is on the disk, in the order of its making. Removing temporary files is
// not among them: it happens after failures, and a failure to remove changes nothing that counts.
enum class FileChange {
  kMake,    // a new file or folder
  kWrite,   // bytes into an open file
  kSync,    // fsync of a file or folder
  kRename,  // `path` is the new name
};

struct FileVerdict {
  int error = 0;           // the errno that the call fails with, e.g. ENOSPC; 0: the call is made
  size_t most = SIZE_MAX;  // kWrite: the call writes at most this many bytes, which must be above 0
};

using FileHook = std::function<FileVerdict(FileChange change, const Path& path)>;

// The hook is in force for the lifetime of the object, for all threads; it must be thread-safe.
// One at a time.
class FileFaults {
 public:
  explicit FileFaults(FileHook hook);
  ~FileFaults();
  FileFaults(const FileFaults&) = delete;
  FileFaults& operator=(const FileFaults&) = delete;

 private:
  FileHook hook_;
};

}  // namespace retort
