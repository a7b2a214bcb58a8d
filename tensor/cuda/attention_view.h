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

// A tile of queries with one head, as a block's work: those with the most keys start first.
struct QueryTile {
  AttentionRun run;
  int first, end, head, kv_head;

  // Of a grid of QueryBlocks.
  __device__ QueryTile(const AttentionView& view, Global<const int32_t> tiles)
      : head(static_cast<int>(blockIdx.x) % view.heads), kv_head(head / view.group) {
    const int64_t item = static_cast<int>(blockIdx.x) / view.heads;
    run = view.Run(tiles[item * 2]);
    first = tiles[item * 2 + 1];
    end = min(first + kTile, run.queries);
  }
  // The keys that some query of the tile sees, and those that all see.
  __device__ int BeginKey(const AttentionView& view) const { return view.FirstKey(run, first); }
  __device__ int EndKey(const AttentionView& view) const { return view.EndKey(run, end - 1); }
  __device__ bool SeesAll(const AttentionView& view, int key, int key_end) const {
    return key >= view.FirstKey(run, end - 1) && key_end <= view.EndKey(run, first);
  }
};
inline int64_t QueryBlocks(const AttentionView& view, const CudaPlan::List& tiles) {
  return tiles.count * view.heads;
}

// A tile of keys with one key head, as a block's work. A run's first keys have the most queries,
// and start first. Runs that are shorter than the longest have tiles without keys at the end.
struct KeyTile {
  AttentionRun run;
  int first, end, kv_head;  // end: of the run's keys

  // Of a grid of KeyBlocks.
  __device__ KeyTile(const AttentionView& view, int runs)
      : kv_head(static_cast<int>(blockIdx.x) % view.kv_heads) {
    const int item = static_cast<int>(blockIdx.x) / view.kv_heads;
    run = view.Run(item % runs);
    first = item / runs * kTile;
    end = run.queries > 0 ? view.EndKey(run, run.queries - 1) : 0;
  }
  __device__ int BeginKey(const AttentionView& view) const { return view.FirstKey(run, 0); }
  // The queries that see a key of the tile: from the first key's own on; in a window, to the last
  // that the last key is in.
  __device__ int BeginQuery() const { return max(0, first - run.first_position); }
  __device__ int EndQuery(const AttentionView& view) const {
    const int last = min(first + kTile, end) - 1 - run.first_position;
    if (first >= end) return 0;
    return view.window > 0 && last < run.queries - view.window ? last + view.window : run.queries;
  }
  // Whether all queries of [query, query_end) see all of the tile.
  __device__ bool SeenByAll(const AttentionView& view, int query, int query_end) const {
    return query_end <= run.queries && first + kTile <= view.EndKey(run, query) &&
           first >= view.FirstKey(run, query_end - 1);
  }
};
inline int64_t KeyBlocks(const AttentionView& view, const CudaPlan& plan) {
  return (plan.most_keys() + kTile - 1) / kTile * plan.runs().count * view.kv_heads;
}

// Rows of a tile: their offsets in a tensor, negative for rows that are not there, which are zeros.
template <class T>
struct TileRows {
  Global<const T> at;
  Shared<int64_t> offsets;
};
// Offsets of the kRows queries from `first` on. A barrier must follow.
template <int kRows>
__device__ void QueryOffsets(const AttentionView& view, const AttentionRun& run, int first,
                             int head, Shared<int64_t> offsets) {
  const int i = static_cast<int>(threadIdx.x);
  if (i >= kRows) return;
  offsets[i] = first + i < run.queries ? view.QueryOffset(run, first + i, head) : -1;
}
// Offsets of the kRows keys from `first` on, of those in [begin, end). A barrier must follow.
template <int kRows>
__device__ void KeyOffsets(const AttentionView& view, const AttentionRun& run, int first, int begin,
                           int end, int kv_head, Shared<int64_t> offsets) {
  const int i = static_cast<int>(threadIdx.x), key = first + i;
  if (i >= kRows) return;
  offsets[i] = key >= begin && key < end ? view.KeyOffset(run, key, kv_head) : -1;
}

// From products of a query with a key, and of its dO with the value, to P and dS (see
// attention_grad.cu); zeros for a key that the query does not see.
struct GradWeights {
  float p, ds;
};
__device__ inline GradWeights GradWeightsOf(const AttentionView& view, bool seen, float product,
                                            float dp, float log_sum, float delta) {
  if (!seen) return {0, 0};
  const float score = view.Score(product), p = expf(score - log_sum);
  return {p, p * (dp - delta) * view.Slope(score)};
}

// The items of a list of the plan.
inline Global<const int32_t> ItemsOf(const CudaPlan& plan, const CudaPlan::List& list) {
  return In<int32_t>(plan.data()) + list.at;
}

}  // namespace retort::cuda
