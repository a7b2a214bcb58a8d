// SPDX-License-Identifier: Apache-2.0
// Weights that are read once, from memory, in the order of their addresses. A processor's own
// fetching stops at every 4 KiB and keeps few lines under way, with which Q8_0 streams at little
// more than half of a plain read. So every line is asked for: far ahead into the L2 and from there,
// a little later, into the L1.
#pragma once

#include <cstdint>

namespace retort {

// For the `bytes` from `at` on, what lies kToL1 and kToL2 beyond them; nothing there is touched, it
// need not exist.
template <int64_t kBytes>
[[gnu::always_inline]] inline void FetchAhead(const void* at) {
  constexpr int64_t kLine = 64, kToL1 = 4096, kToL2 = 16384;
  for (int64_t i = 0; i < kBytes; i += kLine) {
    __builtin_prefetch(static_cast<const char*>(at) + kToL1 + i, 0, 3);
    __builtin_prefetch(static_cast<const char*>(at) + kToL2 + i, 0, 2);
  }
}

}  // namespace retort
