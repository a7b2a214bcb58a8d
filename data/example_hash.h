// SPDX-License-Identifier: Apache-2.0
// The identity of an example: what a teacher's cache and a run's checkpoint compare.
#pragma once

#include <array>
#include <cstddef>

#include "data/example.h"

namespace retort {

// The first 16 bytes of SHA-256 over ids and then labels, each a little-endian int32.
using ExampleHash = std::array<std::byte, 16>;
ExampleHash HashOf(const Example& example);

}  // namespace retort
