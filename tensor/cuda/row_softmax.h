// SPDX-License-Identifier: Apache-2.0
// Sums of exponentials over a row by one block. A thread takes four neighbouring values at a time,
// whether or not they can be read at once: the order of the sums depends on the row's length and
// the number of threads alone. A thread adds in f32, the block in double.
#pragma once

#include <limits>

#include "tensor/cuda/reduce.h"

namespace retort::cuda {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();
inline constexpr float kNotANumber = std::numeric_limits<float>::quiet_NaN();
// Of a block: a chunk of logits has fewer rows than a GPU has multiprocessors.
inline constexpr int kLossThreads = 1024;
inline constexpr int kQuad = 4;
using Quad = Vector<float, kQuad>;

// The first value of this thread's first quad, and the distance of its quads.
__device__ inline int64_t FirstQuad() { return int64_t{threadIdx.x} * kQuad; }
__device__ inline int64_t QuadStep() { return int64_t{blockDim.x} * kQuad; }

// Values [i, i + 4) of a row of n, with `beyond` after its end.
__device__ inline Quad LoadQuad(Global<const float> x, int64_t i, int64_t n, float beyond) {
  if (i + kQuad <= n && Aligned<kQuad>(x + i)) return LoadVector<kQuad>(x + i);
  Quad quad;
  for (int j = 0; j < kQuad; ++j) {
    quad.value[j] = beyond;
    if (i + j < n) quad.value[j] = x[i + j];
  }
  return quad;
}
__device__ inline void StoreQuad(Global<float> x, int64_t i, int64_t n, const Quad& quad) {
  if (i + kQuad <= n && Aligned<kQuad>(x + i)) {
    StoreVector(x + i, quad);
    return;
  }
  for (int j = 0; j < kQuad; ++j) {
    if (i + j < n) x[i + j] = quad.value[j];
  }
}

// A row's largest value and its sum of exp((x - most) * factor), which is NaN if the row holds NaN
// or infinity.
struct SoftmaxSum {
  float most;
  double sum;
};

// The same of some of a row's values, in one pass.
struct OnlineSum {
  float factor = 1;  // 1 / temperature
  // Finite, so that the distance of -infinity from it is no NaN.
  float most = std::numeric_limits<float>::lowest();
  float sum = 0;

  __device__ void Add(float x) {
    if (x > most) {
      sum *= expf((most - x) * factor);
      most = x;
    }
    sum += expf((x - most) * factor);
  }
};

// Scratch of a block's reductions.
struct BlockScratch {
  Shared<float> singles;  // kMostWarps each
  Shared<double> doubles;
};

// Joins the sums of all threads. All of them get the result.
__device__ inline SoftmaxSum JoinSums(const OnlineSum& own, const BlockScratch& scratch) {
  const float most = BlockMax(own.most, scratch.singles);
  const float part = own.sum * expf((own.most - most) * own.factor);
  return {most, BlockSum(static_cast<double>(part), scratch.doubles)};
}

}  // namespace retort::cuda
