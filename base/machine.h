// SPDX-License-Identifier: Apache-2.0
// Resources of the machine that are available to this process.
#pragma once

#include <cstdint>

namespace retort {

// Bytes that can be allocated without swapping or an out-of-memory kill: the kernel's estimate of
// available memory, within the limit of the cgroup (version 2). 0 if the kernel does not report it.
int64_t AvailableMemory();

// Bytes of this process that are in memory now (VmRSS); 0 if the kernel does not report it.
int64_t ResidentMemory();

}  // namespace retort
