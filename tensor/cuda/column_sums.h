// SPDX-License-Identifier: Apache-2.0
// Sums over the rows of a matrix, one for each column, in a fixed order.
#pragma once

#include <algorithm>

#include "tensor/backend.h"
#include "tensor/cuda/arguments.h"

namespace retort::cuda {

inline constexpr int kSumColumns = 32, kSumLanes = 8;  // of a block; a lane sums every 8th row
inline constexpr int64_t kSumRows = 512;               // of a piece, at least
inline constexpr int64_t kMostPieces = 32768;          // in the second dimension of a grid

// sums[piece, c] = the sum of term(t, c) over the piece's rows; with `add`, of the one piece, +=. A
// warp reads 32 neighbouring columns of a row.
template <class Term>
__global__ void ColumnSumsKernel(int64_t rows, int64_t piece_rows, int64_t cols, Term term,
                                 bool add, Global<float> sums) {
  RETORT_SHARED(float, part, kSumLanes* kSumColumns);
  const int column = static_cast<int>(threadIdx.x) % kSumColumns;
  const int lane = static_cast<int>(threadIdx.x) / kSumColumns;
  const int64_t c = int64_t{blockIdx.x} * kSumColumns + column;
  const int64_t begin = blockIdx.y * piece_rows;
  const int64_t end = begin + piece_rows < rows ? begin + piece_rows : rows;
  float sum = 0;
  if (c < cols) {
    for (int64_t t = begin + lane; t < end; t += kSumLanes) sum += term(t, c);
  }
  part[lane * kSumColumns + column] = sum;
  __syncthreads();
  if (lane != 0 || c >= cols) return;
  for (int i = 1; i < kSumLanes; ++i) sum += part[i * kSumColumns + column];
  if (add) sum += sums[c];
  sums[blockIdx.y * cols + c] = sum;
}

struct ColumnValue {
  Global<const float> x;
  int64_t cols;
  __device__ float operator()(int64_t t, int64_t c) const { return x[t * cols + c]; }
};

// sums[c] += term(0, c) + term(1, c) + ... Long columns are summed in pieces, so that few columns
// occupy the whole device too, and their sums by a second kernel.
template <class Term>
void AddColumnSums(Backend& backend, Queue& queue, int64_t rows, int64_t cols, const Term& term,
                   Global<float> sums) {
  Grid grid{(cols + kSumColumns - 1) / kSumColumns, kSumColumns * kSumLanes};
  const auto sum = [&](int64_t count, int64_t piece_rows, const auto& of, bool add,
                       Global<float> to) {
    Launch(queue, grid, ColumnSumsKernel<std::decay_t<decltype(of)>>, count, piece_rows, cols, of,
           add, to);
  };
  const int64_t piece_rows = std::max(kSumRows, (rows + kMostPieces - 1) / kMostPieces);
  const int64_t pieces = (rows + piece_rows - 1) / piece_rows;
  if (pieces <= 1) return sum(rows, piece_rows, term, true, sums);
  const Tensor partial = backend.New({pieces, cols});
  grid.y = pieces;
  sum(rows, piece_rows, term, false, Out<float>(partial));
  grid.y = 1;
  sum(pieces, pieces, ColumnValue{In<float>(partial), cols}, true, sums);
}

}  // namespace retort::cuda
