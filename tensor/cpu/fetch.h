// SPDX-License-Identifier: Apache-2.0
// Software prefetch for weights that are read once, sequentially, from memory. Hardware prefetchers
// stop at every 4 KiB and keep few lines in flight, with which Q8_0 streams at little more than
// half the bandwidth of a plain read. So every line is prefetched: far ahead into the L2, and later
// from there into the L1.
#pragma once

#include <cstdint>

namespace retort {

// An address as a number: those ahead may be beyond the end of an array, where pointers may not be.
using Address = uintptr_t;
inline Address AddressOf(const void* at) { return reinterpret_cast<Address>(at); }

// Prefetches kBytes bytes at kToL1 and at kToL2 beyond `at`. The addresses need not be mapped.
template <int64_t kBytes>
[[gnu::always_inline]] inline void FetchAhead(Address at) {
  constexpr Address kLine = 64, kToL1 = 4096, kToL2 = 16384;
  for (Address i = 0; i < Address{kBytes}; i += kLine) {
    __builtin_prefetch(reinterpret_cast<const void*>(at + kToL1 + i), 0, 3);
    __builtin_prefetch(reinterpret_cast<const void*>(at + kToL2 + i), 0, 2);
  }
}
template <int64_t kBytes>
[[gnu::always_inline]] inline void FetchAhead(const void* at) {
  FetchAhead<kBytes>(AddressOf(at));
}

}  // namespace retort
