// SPDX-License-Identifier: Apache-2.0
// Products of attention's tiles in f32, by a block of 16 x 16 threads. A tile is 64 x 64; thread
// (y, x) holds its rows 4y ... 4y+3. Rows of queries and keys are read from global memory in
// chunks, through shared memory: a thread does 16 or more multiply-adds for every 8 values that it
// reads there. The other operand of AddRows, probabilities or their gradients, stays in shared
// memory. All sums have a fixed order.
#pragma once

#include "tensor/cuda/attention_view.h"
#include "tensor/cuda/reduce.h"

namespace retort::cuda {

inline constexpr int kTileThreads = 256;
// Blocks that a multiprocessor's registers must hold at once: a bound without which the compiler
// keeps sums in memory.
template <int kColumns>
inline constexpr int kTileBlocks = kColumns > 128 ? 1 : 2;
inline constexpr int kPatch = 4;            // rows, and columns, of a thread
inline constexpr int kDepth = 16;           // of a chunk of a product's inner dimension
inline constexpr int kTileRow = kTile + 4;  // keeps vectors aligned and spreads columns over banks
// The length of the chunks in shared memory, for sums of this many columns.
template <int kColumns>
inline constexpr int kChunkFloats = kDepth*(kColumns > 2 * kTileRow ? kColumns : 2 * kTileRow);

__device__ inline int PatchRow() { return static_cast<int>(threadIdx.x) / 16 * kPatch; }
__device__ inline int PatchColumn() { return static_cast<int>(threadIdx.x) % 16 * kPatch; }

using Patch = float[kPatch][kPatch];
// Rows 4y ... 4y+3 of a tile's sums, columns 4x ... 4x+3 of every 64.
template <int kColumns>
using Sums = float[kPatch][kColumns / 16];

// 64 rows x kDepth columns from column `first` on, transposed.
template <class T>
__device__ void LoadColumns(const TileRows<T>& rows, int first, int dim, Shared<float> to) {
  const int column = static_cast<int>(threadIdx.x) % kDepth;
  for (int row = static_cast<int>(threadIdx.x) / kDepth; row < kTile;
       row += kTileThreads / kDepth) {
    const int64_t offset = rows.offsets[row];
    float value = 0;
    if (offset >= 0 && first + column < dim) value = Widen(rows.at[offset + first + column]);
    to[column * kTileRow + row] = value;
  }
}

// products[i][j] = row 4y+i of a times row 4x+j of b. `chunk` is of kChunkFloats.
template <class A, class B>
__device__ void RowProducts(const TileRows<A>& a, const TileRows<B>& b, int dim,
                            Shared<float> chunk, Patch& products) {
  const Shared<float> a_columns = chunk, b_columns = chunk + kDepth * kTileRow;
  for (int i = 0; i < kPatch; ++i)
    for (int j = 0; j < kPatch; ++j) products[i][j] = 0;
  for (int first = 0; first < dim; first += kDepth) {
    __syncthreads();  // the chunk's last use is over
    LoadColumns(a, first, dim, a_columns);
    LoadColumns(b, first, dim, b_columns);
    __syncthreads();
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
      const Vector<float, 4> left = LoadVector<4>(a_columns + d * kTileRow + PatchRow());
      const Vector<float, 4> right = LoadVector<4>(b_columns + d * kTileRow + PatchColumn());
#pragma unroll
      for (int i = 0; i < kPatch; ++i)
#pragma unroll
        for (int j = 0; j < kPatch; ++j) products[i][j] += left.value[i] * right.value[j];
    }
  }
}

// Stores patches as a matrix [column][row], for AddRows. All threads have left AddRows before.
__device__ inline void StoreColumns(const Patch& patch, Shared<float> matrix) {
  for (int j = 0; j < kPatch; ++j) {
    Vector<float, 4> column;
    for (int i = 0; i < kPatch; ++i) column.value[i] = patch[i][j];
    StoreVector<4>(matrix + (PatchColumn() + j) * kTileRow + PatchRow(), column);
  }
}

// sums += matrix' rows, with matrix [column][row] of StoreColumns and 64 rows of D <= kColumns.
template <int kColumns, class T>
__device__ void AddRows(Shared<float> matrix, const TileRows<T>& rows, int dim, Shared<float> chunk,
                        Sums<kColumns>& sums) {
  for (int first = 0; first < kTile; first += kDepth) {
    __syncthreads();  // the chunk's last use is over; the matrix is complete
    for (int i = static_cast<int>(threadIdx.x); i < kDepth * kColumns; i += kTileThreads) {
      const int64_t offset = rows.offsets[first + i / kColumns];
      float value = 0;
      if (offset >= 0 && i % kColumns < dim) value = Widen(rows.at[offset + i % kColumns]);
      chunk[i] = value;
    }
    __syncthreads();
#pragma unroll 4
    for (int k = 0; k < kDepth; ++k) {
      const Vector<float, 4> left = LoadVector<4>(matrix + (first + k) * kTileRow + PatchRow());
#pragma unroll
      for (int c = 0; c < kColumns / 64; ++c) {
        const Vector<float, 4> right = LoadVector<4>(chunk + k * kColumns + c * 64 + PatchColumn());
#pragma unroll
        for (int i = 0; i < kPatch; ++i)
#pragma unroll
          for (int j = 0; j < 4; ++j) sums[i][c * 4 + j] += left.value[i] * right.value[j];
      }
    }
  }
  __syncthreads();  // the matrix may be overwritten
}

template <int kColumns>
__device__ void Clear(Sums<kColumns>& sums) {
  for (int i = 0; i < kPatch; ++i)
    for (int c = 0; c < kColumns / 16; ++c) sums[i][c] = 0;
}

// body(row of the tile, column, sum) for the thread's sums.
template <int kColumns, class Body>
__device__ void ForSums(Sums<kColumns>& sums, const Body& body) {
#pragma unroll
  for (int i = 0; i < kPatch; ++i)
#pragma unroll
    for (int c = 0; c < kColumns / 16; ++c)
      body(PatchRow() + i, c / 4 * 64 + PatchColumn() + c % 4, sums[i][c]);
}

// call with the number of columns that sums of heads of this width need.
template <class Call>
void WithColumns(int dim, const Call& call) {
  RETORT_CHECK(dim <= 256, "heads of ", dim, " columns on a CUDA device");
  if (dim <= 64) return call.template operator()<64>();
  if (dim <= 128) return call.template operator()<128>();
  return call.template operator()<256>();
}

}  // namespace retort::cuda
