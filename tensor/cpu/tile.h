// SPDX-License-Identifier: Apache-2.0
// A product of small matrices that lie in the caches, for attention's tiles.
#pragma once

#include "tensor/cpu/simd.h"

namespace retort {

// Element (i, j) of a matrix that is only read one element at a time: any two strides.
struct TileA {
  const float* data;
  int64_t row, col;  // strides
};
// Rows read and written in whole vectors: rows are padded to a multiple of W.
struct TileB {
  const float* data;
  int64_t row;
};
struct TileC {
  float* data;
  int64_t row;
};

// c [rows, cols] = a [rows, depth] b [depth, cols], or += with kAdd; cols is a multiple of W. Every
// element is summed in the order of the depth.
template <bool kAdd>
struct TileProduct {
  template <int W, int kRows, int kVectors>
  RETORT_INLINE static void Block(int64_t depth, TileA a, TileB b, TileC c) {
    Floats<W> sum[kRows][kVectors] = {};
    if (kAdd) {
      for (int i = 0; i < kRows; ++i) {
        for (int j = 0; j < kVectors; ++j) sum[i][j] = Load<W>(c.data + i * c.row + j * W);
      }
    }
    for (int64_t k = 0; k < depth; ++k) {
      Floats<W> right[kVectors];
      for (int j = 0; j < kVectors; ++j) right[j] = Load<W>(b.data + k * b.row + j * W);
      for (int i = 0; i < kRows; ++i) {
        const float left = a.data[i * a.row + k * a.col];
        for (int j = 0; j < kVectors; ++j) sum[i][j] += left * right[j];
      }
    }
    for (int i = 0; i < kRows; ++i) {
      for (int j = 0; j < kVectors; ++j) Store<W>(c.data + i * c.row + j * W, sum[i][j]);
    }
  }

  template <int W, int kVectors>
  RETORT_INLINE static void Strip(int64_t rows, int64_t depth, TileA a, TileB b, TileC c) {
    constexpr int kRows = W == 16 ? 6 : 4;  // what the registers hold
    int64_t i = 0;
    const auto at = [&](int64_t r) __attribute__((always_inline)) {
      return TileA{a.data + r * a.row, a.row, a.col};
    };
    for (; i + kRows <= rows; i += kRows) {
      Block<W, kRows, kVectors>(depth, at(i), b, {c.data + i * c.row, c.row});
    }
    for (; i + 2 <= rows; i += 2) {
      Block<W, 2, kVectors>(depth, at(i), b, {c.data + i * c.row, c.row});
    }
    if (i < rows) Block<W, 1, kVectors>(depth, at(i), b, {c.data + i * c.row, c.row});
  }

  template <int W>
  RETORT_INLINE static void Run(int64_t rows, int64_t cols, int64_t depth, TileA a, TileB b,
                                TileC c) {
    constexpr int kVectors = W == 16 ? 4 : 2;
    int64_t j = 0;
    for (; j + kVectors * W <= cols; j += kVectors * W) {
      Strip<W, kVectors>(rows, depth, a, {b.data + j, b.row}, {c.data + j, c.row});
    }
    for (; j < cols; j += W) {
      Strip<W, 1>(rows, depth, a, {b.data + j, b.row}, {c.data + j, c.row});
    }
  }
};

}  // namespace retort
