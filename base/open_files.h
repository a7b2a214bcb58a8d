// SPDX-License-Identifier: Apache-2.0
// How many files and sockets the process may have open.
#pragma once

#include <cstdint>

namespace retort {

// Raises the limit to `wanted`, or as near to it as the system allows, and returns what it is then;
// the largest number if there is none or it cannot be told. Never lowers it.
uint64_t RaiseOpenFiles(uint64_t wanted);

}  // namespace retort
