// SPDX-License-Identifier: Apache-2.0
// Gives up what a process that reads hostile bytes does not need.
#pragma once

#include <cstdint>

namespace retort {

// From now on and for good, this process opens no file and connects to nothing, starts no process
// or thread, writes only to what is open, takes at most `memory_bytes` more memory and
// `cpu_seconds` of processor time, leaves no core dump, and dies with its parent. Where the kernel
// cannot filter system calls (seccomp), only the limits hold, of which the one on descriptors still
// forbids opening files. Throws Error{kFailure} when a limit cannot be set.
void ConfineThisProcess(int64_t memory_bytes, int64_t cpu_seconds);

}  // namespace retort
