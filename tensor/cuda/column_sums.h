// SPDX-License-Identifier: Apache-2.0
// Sums over the rows of a matrix, one for each column, in a fixed order.
#pragma once

#include "tensor/cuda/language/kernel_language.h"

namespace retort::cuda {

inline constexpr int kSumColumns = 32, kSumLanes = 8;  // of a block; a lane sums every 8th row

// sums[c] += term(0, c) + term(1, c) + ... A warp reads 32 neighbouring columns of a row.
template <class Term>
__global__ void ColumnSumsKernel(int64_t rows, int64_t cols, Term term, Global<float> sums) {
  RETORT_SHARED(float, part, kSumLanes* kSumColumns);
  const int column = static_cast<int>(threadIdx.x) % kSumColumns;
  const int lane = static_cast<int>(threadIdx.x) / kSumColumns;
  const int64_t c = int64_t{blockIdx.x} * kSumColumns + column;
  float sum = 0;
  if (c < cols) {
    for (int64_t t = lane; t < rows; t += kSumLanes) sum += term(t, c);
  }
  part[lane * kSumColumns + column] = sum;
  __syncthreads();
  if (lane != 0 || c >= cols) return;
  for (int i = 1; i < kSumLanes; ++i) sum += part[i * kSumColumns + column];
  sums[c] += sum;
}

template <class Term>
void AddColumnSums(Queue& queue, int64_t rows, int64_t cols, const Term& term, Global<float> sums) {
  const Grid grid{(cols + kSumColumns - 1) / kSumColumns, kSumColumns * kSumLanes};
  Launch(queue, grid, ColumnSumsKernel<Term>, rows, cols, term, sums);
}

}  // namespace retort::cuda
