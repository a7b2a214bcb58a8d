// SPDX-License-Identifier: Apache-2.0
// What the machine has left for this process.
#pragma once

#include <cstdint>

namespace retort {

// Bytes that can be allocated before something is swapped out or killed: what the kernel takes to
// be available, within the cgroup's limit (version 2). 0 where the kernel does not say.
int64_t AvailableMemory();

}  // namespace retort
