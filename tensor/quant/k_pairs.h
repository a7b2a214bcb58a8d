// SPDX-License-Identifier: Apache-2.0
// Codes of 2 bits in blocks of 256, as Q2_K and Q3_K store them: byte 32 h + k has values
// 128 h + 32 j + k, j = 0 to 3, in its bits 2 j and 2 j + 1.
#pragma once

#include "tensor/quant/format_kernels.h"

namespace retort {

// Codes of W values from value 64 quarter + i; i is a multiple of W and W of them share a j.
template <int W>
RETORT_INLINE Ints<W> PairsOf(const uint8_t* q, int quarter, int i) {
  const auto bytes = Widened<W>(LoadAs<Chars<W>>(q + quarter / 2 * 32 + i % 32));
  return bytes >> (4 * (quarter % 2) + 2 * (i / 32)) & 3;
}

inline void PackPairs(const uint8_t* codes, uint8_t* q) {
  for (int i = 0; i < 64; ++i) {
    const uint8_t* at = codes + i / 32 * 128 + i % 32;
    q[i] = static_cast<uint8_t>((at[0] & 3) | (at[32] & 3) << 2 | (at[64] & 3) << 4 |
                                (at[96] & 3) << 6);
  }
}

}  // namespace retort
