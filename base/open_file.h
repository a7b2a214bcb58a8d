// SPDX-License-Identifier: Apache-2.0
// Opening files that may be anything. Only for the sources of base/.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

namespace retort {

// A file descriptor, closed at the end of its scope.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

// The folder that holds the path; "." for a plain name.
inline Path FolderOf(const Path& path) {
  return path.has_parent_path() ? path.parent_path() : Path(".");
}

// "is a folder, not a file", "is a pipe, not a file" ..., by the mode of stat(2).
const char* KindOfFile(mode_t mode);

// Opens a regular file for reading without waiting for a pipe's other end, and fills in `info`.
// Throws Error{kInput} with the path if it cannot be opened or is anything else.
int OpenRegular(const Path& path, struct stat& info);

}  // namespace retort
