// SPDX-License-Identifier: Apache-2.0
// Products of small matrices that fit in the caches, for attention's tiles.
#pragma once

#include "tensor/cpu/simd.h"

namespace retort {

// A matrix that is read one element at a time: both strides are arbitrary.
struct TileA {
  const float* data;
  int64_t row, col;  // strides
};
// Matrices whose rows are read (B) and written (C) in whole vectors: rows are padded to a multiple
// of W.
struct TileB {
  const float* data;
  int64_t row;
};
struct TileC {
  float* data;
  int64_t row;
};

// c [rows, cols] = a [rows, depth] b [depth, cols], or += with kAdd; cols is a multiple of W. Each
// element is summed in the order of the depth, and with kAdd the old value is added last; so a
// depth that is split over several calls gives a sum of partial sums.
template <bool kAdd>
struct TileProduct {
  template <int W, int kRows, int kVectors>
  RETORT_INLINE static void Block(int64_t depth, TileA a, TileB b, TileC c) {
    Floats<W> sum[kRows][kVectors] = {};
    for (int64_t k = 0; k < depth; ++k) {
      Floats<W> right[kVectors];
      for (int j = 0; j < kVectors; ++j) right[j] = Load<W>(b.data + k * b.row + j * W);
      for (int i = 0; i < kRows; ++i) {
        const float left = a.data[i * a.row + k * a.col];
        for (int j = 0; j < kVectors; ++j) sum[i][j] += left * right[j];
      }
    }
    for (int i = 0; i < kRows; ++i) {
      for (int j = 0; j < kVectors; ++j) {
        float* out = c.data + i * c.row + j * W;
        Store<W>(out, kAdd ? Load<W>(out) + sum[i][j] : sum[i][j]);
      }
    }
  }

  // Rows [i, rows) in blocks of kRows, then of half as many, and so on.
  template <int W, int kRows, int kVectors>
  RETORT_INLINE static void Rows(int64_t i, int64_t rows, int64_t depth, TileA a, TileB b,
                                 TileC c) {
    for (; i + kRows <= rows; i += kRows) {
      Block<W, kRows, kVectors>(depth, {a.data + i * a.row, a.row, a.col}, b,
                                {c.data + i * c.row, c.row});
    }
    if constexpr (kRows > 1) Rows<W, kRows / 2, kVectors>(i, rows, depth, a, b, c);
  }

  // A strip of kVectors vectors, with as many rows at a time as the registers can hold sums for.
  template <int W, int kVectors>
  RETORT_INLINE static void Strip(int64_t rows, int64_t depth, TileA a, TileB b, TileC c) {
    constexpr int kSums = W == 16 ? 24 : 12, kMostRows = W == 16 ? 14 : 8;
    constexpr int kRows = kSums / kVectors < kMostRows ? kSums / kVectors : kMostRows;
    Rows<W, kRows, kVectors>(0, rows, depth, a, b, c);
  }

  template <int W>
  RETORT_INLINE static void Run(int64_t rows, int64_t cols, int64_t depth, TileA a, TileB b,
                                TileC c) {
    constexpr int kVectors = W == 16 ? 4 : 2;
    int64_t j = 0;
    const auto strip = [&]<int V>() __attribute__((always_inline)) {
      Strip<W, V>(rows, depth, a, {b.data + j, b.row}, {c.data + j, c.row});
    };
    for (; j + kVectors * W <= cols; j += kVectors * W) strip.template operator()<kVectors>();
    switch ((cols - j) / W) {
      case 3:
        return strip.template operator()<3>();
      case 2:
        return strip.template operator()<2>();
      case 1:
        return strip.template operator()<1>();
    }
  }
};

}  // namespace retort
