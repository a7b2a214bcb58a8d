// SPDX-License-Identifier: Apache-2.0
// Software prefetch for weights that are read once, sequentially, from memory. Hardware prefetchers
// stop at every 4 KiB and keep few lines in flight, with which Q8_0 streams at little more than
// half the bandwidth of a plain read. So every line is prefetched: far ahead into the L2, and later
// from there into the L1.
#pragma once

#include <cstdint>

namespace retort {

// Prefetches kBytes bytes at kToL1 and at kToL2 beyond `at`. The addresses need not be mapped.
template <int64_t kBytes>
[[gnu::always_inline]] inline void FetchAhead(const void* at) {
  constexpr int64_t kLine = 64, kToL1 = 4096, kToL2 = 16384;
  for (int64_t i = 0; i < kBytes; i += kLine) {
    __builtin_prefetch(static_cast<const char*>(at) + kToL1 + i, 0, 3);
    __builtin_prefetch(static_cast<const char*>(at) + kToL2 + i, 0, 2);
  }
}

}  // namespace retort
