// SPDX-License-Identifier: Apache-2.0
// How kernels walk over matrices whose rows are found by number, and the sum of such rows.
#pragma once

#include <algorithm>

#include "tensor/cuda/language/kernel_language.h"
#include "tensor/cuda/reduce.h"

namespace retort::cuda {

// One block a row. A thread has about four values of a row that is not long, so that the short rows
// of heads take one warp and not eight.
inline Grid RowBlocks(int64_t rows, int64_t cols) {
  return {rows, kWarp * static_cast<int>(std::clamp<int64_t>((cols + 127) / 128, 1, 8))};
}

// Whether rows of these widths, of matrices that begin here, are read four values at a time.
template <class... Matrices>
bool InFours(int64_t cols, const Matrices&... begins) {
  return cols % 4 == 0 && (Aligned<4>(begins) && ...);
}
// call with the number of values in an access as a constant.
template <class Call>
void WithWidth(bool fours, const Call& call) {
  if (fours) {
    call.template operator()<4>();
  } else {
    call.template operator()<1>();
  }
}

// to[:] = from[:], by a block.
template <int kWidth>
__device__ inline void CopyRow(Global<const float> from, int64_t cols, Global<float> to) {
  for (int64_t c = int64_t{threadIdx.x} * kWidth; c < cols; c += int64_t{blockDim.x} * kWidth)
    StoreVector(to + c, LoadVector<kWidth>(from + c));
}

inline constexpr int kAddThreads = 256, kAddWarps = kAddThreads / kWarp;
inline constexpr int64_t kMostOwners = 1024;

// The block among `owners` that adds to this row. Neighbours and multiples spread evenly.
__device__ inline int64_t OwnerOf(int32_t row, int64_t owners) {
  const uint32_t mixed = static_cast<uint32_t>(row) * 0x9E3779B1u;
  return static_cast<int64_t>(uint64_t{mixed} * static_cast<uint64_t>(owners) >> 32);
}

// out[rows[i],:] += weight(i) * x[i,:] in the order of i, though rows repeat: a thread owns some
// columns of some rows, by OwnerOf, and is the only one to write there. A block reads all row
// numbers, 256 at a time, and keeps those of its own rows in a list. So the numbers are read
// kMostOwners times at most, from the cache, which is little beside the rows themselves; and
// nothing is sorted, counted or stored between two kernels.
template <int kWidth, class Weight>
__global__ void AddRowsKernel(Global<const float> x, Global<const int32_t> rows, int64_t count,
                              int64_t cols, Weight weight, Global<float> out) {
  RETORT_SHARED(int, found, kAddThreads);  // of these 256 numbers, those of own rows
  RETORT_SHARED(int, in_warp, kAddWarps);  // how many a warp has found
  const int thread = static_cast<int>(threadIdx.x), warp = thread / kWarp, lane = thread % kWarp;
  const int64_t c = (int64_t{blockIdx.y} * kAddThreads + thread) * kWidth;
  for (int64_t begin = 0; begin < count; begin += kAddThreads) {
    bool own = false;
    if (begin + thread < count) {
      const int32_t row = rows[begin + thread];
      own = OwnerOf(row, gridDim.x) == blockIdx.x;
    }
    const unsigned votes = __ballot_sync(kAllLanes, own);
    if (lane == 0) in_warp[warp] = __popc(votes);
    __syncthreads();
    int place = __popc(votes & ((1u << lane) - 1)), all = 0;
    for (int w = 0; w < kAddWarps; ++w) {
      const int n = in_warp[w];
      if (w < warp) place += n;
      all += n;
    }
    if (own) found[place] = thread;
    __syncthreads();
    for (int f = 0; f < all && c < cols; ++f) {
      const int at = found[f];
      const int32_t row = rows[begin + at];
      const float factor = weight(begin + at);
      const Vector<float, kWidth> more = LoadVector<kWidth>(x + ((begin + at) * cols + c));
      Vector<float, kWidth> sum = LoadVector<kWidth>(out + (row * cols + c));
      for (int j = 0; j < kWidth; ++j) sum.value[j] += factor * more.value[j];
      StoreVector(out + (row * cols + c), sum);
    }
  }
}

// A weight of AddRows.
struct Once {
  __device__ float operator()(int64_t /*i*/) const { return 1; }
};

// weight: a function of i on the device. out [out_rows,cols].
template <class Weight>
void AddRows(Queue& queue, Global<const float> x, Global<const int32_t> rows, int64_t count,
             int64_t cols, const Weight& weight, int64_t out_rows, Global<float> out) {
  const int64_t owners = std::min({count, out_rows, kMostOwners});
  WithWidth(InFours(cols, x, out), [&]<int kWidth>() {
    constexpr int64_t kStrip = kAddThreads * kWidth;
    const Grid grid{owners, kAddThreads, (cols + kStrip - 1) / kStrip};
    Launch(queue, grid, AddRowsKernel<kWidth, Weight>, x, rows, count, cols, weight, out);
  });
}

}  // namespace retort::cuda
