// SPDX-License-Identifier: Apache-2.0
// Sums and maxima over the threads of a warp and of a block, in an order that depends on the
// number of threads alone.
#pragma once

#include "tensor/cuda/language/kernel_language.h"

namespace retort::cuda {

inline constexpr int kWarp = 32;
inline constexpr int kMostWarps = 32;  // of a block

struct SumOf {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct MaxOf {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a > b ? a : b;
  }
};

// Every lane gets the result.
template <class Join, class T>
__device__ inline T WarpReduce(T value, Join join) {
  for (int step = kWarp / 2; step > 0; step /= 2)
    value = join(value, __shfl_xor_sync(kAllLanes, value, step));
  return value;
}

// Every thread gets the result. All threads of the block call it; `scratch` holds kMostWarps
// values, and may be used again after the call.
template <class Join, class T>
__device__ inline T BlockReduce(T value, Join join, Shared<T> scratch) {
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  value = WarpReduce(value, join);
  if (warps == 1) return value;
  if (lane == 0) scratch[warp] = value;
  __syncthreads();
  T all = scratch[0];
  for (int i = 1; i < warps; ++i) {
    const T next = scratch[i];
    all = join(all, next);
  }
  __syncthreads();
  return all;
}

template <class T>
__device__ inline T WarpSum(T value) {
  return WarpReduce(value, SumOf());
}
template <class T>
__device__ inline T BlockSum(T value, Shared<T> scratch) {
  return BlockReduce(value, SumOf(), scratch);
}
template <class T>
__device__ inline T BlockMax(T value, Shared<T> scratch) {
  return BlockReduce(value, MaxOf(), scratch);
}

}  // namespace retort::cuda
