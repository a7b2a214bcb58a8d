// SPDX-License-Identifier: Apache-2.0
// Transposition of 32-bit words in whole vectors.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "tensor/cpu/simd.h"

namespace retort {

// One step of a butterfly transposition: steps S = 1, 2, 4 ... W/2 over pairs of rows transpose a
// W x W tile.
template <int W, int S, bool kHigh, int... L>
RETORT_INLINE Ints<W> MixLanes(Ints<W> a, Ints<W> b, std::integer_sequence<int, L...>) {
  return __builtin_shufflevector(a, b,
                                 (kHigh ? (L & S ? W + L : L + S) : (L & S ? W + L - S : L))...);
}

template <int W, int S = 1>
RETORT_INLINE void TransposeTile(Ints<W>* rows) {
  if constexpr (S < W) {
    using Lanes = std::make_integer_sequence<int, W>;
    for (int i = 0; i < W; ++i) {
      if (i & S) continue;
      const Ints<W> a = rows[i], b = rows[i + S];
      rows[i] = MixLanes<W, S, false>(a, b, Lanes{});
      rows[i + S] = MixLanes<W, S, true>(a, b, Lanes{});
    }
    TransposeTile<W, 2 * S>(rows);
  }
}

// to[c * to_row + r] = from[r * from_row + c] for `rows` r and `cols` c, both multiples of W.
template <int W, class Word>
RETORT_INLINE void Transpose(const Word* from, int64_t from_row, int64_t rows, int64_t cols,
                             Word* to, int64_t to_row) {
  static_assert(sizeof(Word) == 4);
  for (int64_t c = 0; c < cols; c += W) {
    for (int64_t r = 0; r < rows; r += W) {
      Ints<W> tile[W];
      for (int i = 0; i < W; ++i) std::memcpy(&tile[i], from + (r + i) * from_row + c, W * 4);
      TransposeTile<W>(tile);
      for (int i = 0; i < W; ++i) std::memcpy(to + (c + i) * to_row + r, &tile[i], W * 4);
    }
  }
}

}  // namespace retort
