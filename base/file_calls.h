// SPDX-License-Identifier: Apache-2.0
// The system calls by which files are changed, with the seam of base/file_faults.h. Each returns
// what the system's call returns and sets errno. Only for the sources of base/.
#pragma once

#include <sys/types.h>

#include <optional>

#include "base/file_faults.h"

namespace retort::calls {

// open(2) of a file that must not exist yet, links included, for writing.
int MakeFile(const Path& path);
// open(2) for appending; the file is made if it is missing. Never waits.
int OpenForAppending(const Path& path);
int MakeFolder(const Path& path);
// pwrite(2), or write(2) without an offset. Repeated when interrupted.
ssize_t Write(int fd, const Path& path, Bytes bytes, std::optional<uint64_t> offset);
int Sync(int fd, const Path& path);
int Rename(const Path& from, const Path& to);
// The two change places at once. Fails with EINVAL or ENOSYS where the file system cannot do that.
int Exchange(const Path& a, const Path& b);

}  // namespace retort::calls
