// SPDX-License-Identifier: Apache-2.0
// What attention's kernels share: where queries and keys are, and which keys a query sees.
#pragma once

#include "tensor/cuda/arguments.h"
#include "tensor/cuda/plan.h"
#include "tensor/kernels/attention.h"

namespace retort::cuda {

inline constexpr float kLog2OfE = 1.44269504f, kLogOf2 = 0.69314718f;

// The shape of a layer's attention and the layout of its keys. Offsets are in elements.
struct AttentionView {
  int heads, kv_heads, group, dim;  // group = heads / kv_heads
  int window;                       // 0: none
  float scale, soft_cap;            // soft_cap 0: none
  int block_size;
  int key_row;       // to a head's next key in a block
  int64_t key_head;  // to the next key head in a block
  Global<const int32_t> runs, block_rows;

  __device__ AttentionRun Run(int64_t r) const {
    return {runs[r * 4], runs[r * 4 + 1], runs[r * 4 + 2], runs[r * 4 + 3]};
  }
  // A query's row of one head in a [T, H * D] tensor, and its place in a [T, H] tensor.
  __device__ int64_t QueryOffset(const AttentionRun& run, int query, int head) const {
    return StatOffset(run, query, head) * dim;
  }
  __device__ int64_t StatOffset(const AttentionRun& run, int query, int head) const {
    return (int64_t{run.first_query} + query) * heads + head;
  }
  // A key's row of one head.
  __device__ int64_t KeyOffset(const AttentionRun& run, int key, int kv_head) const {
    const int32_t block = block_rows[int64_t{run.first_block} + key / block_size];
    return int64_t{block} * kv_heads * dim + kv_head * key_head +
           int64_t{key % block_size} * key_row;
  }
  // The keys that a query sees: [FirstKey, EndKey).
  __device__ int FirstKey(const AttentionRun& run, int query) const {
    const int first = run.first_position + query - window + 1;
    return window > 0 && first > 0 ? first : 0;
  }
  __device__ int EndKey(const AttentionRun& run, int query) const {
    return run.first_position + query + 1;
  }
  __device__ bool Sees(const AttentionRun& run, int query, int key) const {
    return key < EndKey(run, query) && key >= FirstKey(run, query);
  }
  // A score of a product of query and key.
  __device__ float Score(float product) const {
    const float s = product * scale;
    return soft_cap > 0 ? soft_cap * tanhf(s / soft_cap) : s;
  }
  // d score / d (product * scale), from the score.
  __device__ float Slope(float score) const {
    const float t = score / soft_cap;
    return soft_cap > 0 ? 1 - t * t : 1;
  }
};

inline AttentionView ViewOf(const AttentionShape& shape, const CudaPlan& plan, const Shape& keys) {
  const Global<const int32_t> numbers = In<int32_t>(plan.data());
  const bool pages = keys.rank() == 4;
  return {.heads = shape.heads,
          .kv_heads = shape.kv_heads,
          .group = shape.heads / shape.kv_heads,
          .dim = shape.head_dim,
          .window = shape.window,
          .scale = shape.scale,
          .soft_cap = shape.soft_cap,
          .block_size = plan.host().layout().block_size,
          .key_row = pages ? shape.head_dim : shape.kv_heads * shape.head_dim,
          .key_head = pages ? keys[2] * shape.head_dim : shape.head_dim,
          .runs = numbers + plan.runs().at,
          .block_rows = numbers + plan.block_rows().at};
}

// The items of a list of the plan.
inline Global<const int32_t> ItemsOf(const CudaPlan& plan, const CudaPlan::List& list) {
  return In<int32_t>(plan.data()) + list.at;
}

}  // namespace retort::cuda
