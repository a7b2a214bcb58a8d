// SPDX-License-Identifier: Apache-2.0
// Attention's forward kernel on the tensor cores: the work and the running softmax of attention.cu,
// with queries, keys, values and probabilities rounded to bf16. A block computes 64 queries of one
// head against 32 keys at a time.
#include "tensor/cuda/attention.h"
#include "tensor/cuda/attention_mma.h"

namespace retort::cuda {
namespace {

// Two tiles each of keys and values, and the queries of wide heads.
template <int kDim>
constexpr int64_t kForwardBytes = MmaBytes<kDim>(4, kDim > kNarrow ? 1 : 0);

__global__ void RoundKernel(Global<const float> x, int64_t count, Global<BF16> y) {
  const int64_t i = ThreadNumber();
  if (i < count) y[i] = Narrow<BF16>(x[i]);
}

// The running softmax of rows LaneRow() and LaneRow() + 8. Each of a row's four threads has the sum
// over its own columns until Total.
struct RunningSoftmax {
  float most[2] = {-INFINITY, -INFINITY};  // the largest score so far, times log2(e)
  float sum[2] = {0, 0};                   // of exp2(score - most)

  // Scores become exp2(score - most); `factors` are those for earlier sums.
  __device__ void Step(Products<kMmaRows>& scores, float (&factors)[2]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float top = most[half];
      for (int n = 0; n < kMmaRows / 8; ++n) {
        top = fmaxf(top, fmaxf(scores[n][half * 2], scores[n][half * 2 + 1]));
      }
      top = fmaxf(top, __shfl_xor_sync(kAllLanes, top, 1));
      top = fmaxf(top, __shfl_xor_sync(kAllLanes, top, 2));
      // In a row without any visible key so far, any finite base gives exponentials of 0.
      const float base = top == -INFINITY ? 0 : top;
      factors[half] = exp2f(most[half] - base);
      sum[half] *= factors[half];
      for (int n = 0; n < kMmaRows / 8; ++n) {
        for (int i = half * 2; i < half * 2 + 2; ++i) {
          scores[n][i] = exp2f(scores[n][i] - base);
          sum[half] += scores[n][i];
        }
      }
      most[half] = top;
    }
  }
  __device__ float Total(int half) const {
    float total = sum[half];
    total += __shfl_xor_sync(kAllLanes, total, 1);
    total += __shfl_xor_sync(kAllLanes, total, 2);
    return total;
  }
};

// Scores of products of the tile's rows with keys from `key` on, times log2(e).
__device__ void ScoresOf(const AttentionView& view, const QueryTile& tile, int key,
                         Products<kMmaRows>& p) {
  const bool all = tile.SeesAll(view, key, key + kMmaRows);
#pragma unroll
  for (int n = 0; n < kMmaRows / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int query = tile.first + LaneRow() + i / 2 * 8;
      const bool seen = all || view.Sees(tile.run, query, key + n * 8 + LaneColumn() + i % 2);
      p[n][i] = seen ? view.Score(p[n][i]) * kLog2OfE : -INFINITY;
    }
  }
}

template <class T, int kDim>
__global__ void __launch_bounds__(kMmaThreads, 2)
    ForwardMmaKernel(AttentionView view, Global<const int32_t> tiles, Global<const BF16> q,
                     Global<const T> keys, Global<const T> values, Global<float> out,
                     Global<float> log_sum) {
  RETORT_SHARED(int64_t, offsets, 2 * kPlacedRows);
  RETORT_SHARED(int64_t, query_offsets, kTile);
  const Shared<BF16> key_tiles = DynamicShared<BF16>();
  const Shared<BF16> value_tiles = key_tiles + 2 * kMmaTile<kDim>;
  const QueryTile tile(view, tiles);
  QueryOffsets<kTile>(view, tile.run, tile.first, tile.head, query_offsets);
  __syncthreads();
  Left<kDim> queries;
  LoadLeft<kDim>({q, query_offsets}, view.dim, value_tiles + 2 * kMmaTile<kDim>, queries);

  Products<kDim> sums;
  Clear<kDim>(sums);
  RunningSoftmax softmax;
  const auto step = [&](int key, const Shared<BF16>& key_tile, const Shared<BF16>& value_tile) {
    Products<kMmaRows> weights;
    MultiplyRows<kDim>(queries, key_tile, weights);
    ScoresOf(view, tile, key, weights);
    float factors[2];
    softmax.Step(weights, factors);
    if (__any_sync(kAllLanes, factors[0] != 1 || factors[1] != 1)) {
#pragma unroll
      for (int c = 0; c < kDim / 8; ++c)
#pragma unroll
        for (int i = 0; i < 4; ++i) sums[c][i] *= factors[i / 2];
    }
    AddRows<kDim>(weights, value_tile, sums);
  };
  ForKeyTiles<kDim>(view, tile, keys, values, offsets, key_tiles, value_tiles, step);

  const float totals[2] = {softmax.Total(0), softmax.Total(1)};
#pragma unroll
  for (int c = 0; c < kDim / 8; ++c)
#pragma unroll
    for (int i = 0; i < 4; ++i) sums[c][i] *= 1 / totals[i / 2];
  PutRows<kDim>(sums, query_offsets, view.dim, [&](int64_t at, float sum) { out[at] = sum; });
  for (int half = 0; half < 2; ++half) {
    const int query = tile.first + LaneRow() + half * 8;
    if (LaneColumn() != 0 || query >= tile.end) continue;
    log_sum[view.StatOffset(tile.run, query, tile.head)] =
        (softmax.most[half] + log2f(totals[half])) * kLogOf2;
  }
}

template <class T>
void RunForward(Queue& queue, Memory& memory, const AttentionView& view, const CudaPlan& plan,
                const ForwardTensors& x, const Tensor& keys, const Tensor& values) {
  const Tensor q = Rounded(queue, memory, x.q);
  WithMmaColumns(view.dim, [&]<int kDim>() {
    const Grid grid{.x = QueryBlocks(view, plan.tiles()),
                    .threads = kMmaThreads,
                    .shared_bytes = kForwardBytes<kDim>};
    Launch(queue, grid, ForwardMmaKernel<T, kDim>, view, ItemsOf(plan, plan.tiles()), In<BF16>(q),
           In<T>(keys), In<T>(values), Out<float>(x.out), Out<float>(x.log_sum));
  });
}

}  // namespace

bool OnTensorCores(Compute compute, const DeviceFacts& facts, const AttentionShape& shape,
                   const Tensor& keys, const Tensor& values) {
  if (compute != Compute::kBF16 && compute != Compute::kAuto) return false;
  if (shape.head_dim % 16 != 0 || shape.head_dim > kWide) return false;
  if (shape.head_dim > kNarrow && facts.shared_bytes < kWideBytes) return false;
  if (keys.dtype() == DType::kF32) return keys.shape().rank() == 2;
  const auto aligned = [](const Tensor& x) {
    return reinterpret_cast<uintptr_t>(x.address()) % 16 == 0;
  };
  return aligned(keys) && aligned(values);
}

Tensor Rounded(Queue& queue, Memory& memory, const Tensor& x) {
  if (x.dtype() == DType::kBF16) return x;
  Tensor y = Tensor::Make(memory, x.shape(), DType::kBF16);
  Launch(queue, OneEach(x.elements()), RoundKernel, In<float>(x), x.elements(), Out<BF16>(y));
  return y;
}

void TensorCoreForward(Queue& queue, Memory& memory, const AttentionView& view,
                       const CudaPlan& plan, const ForwardTensors& x) {
  if (plan.tiles().count == 0) return;
  if (x.keys.dtype() == DType::kF16) {
    return RunForward<F16>(queue, memory, view, plan, x, x.keys, x.values);
  }
  RunForward<BF16>(queue, memory, view, plan, x, Rounded(queue, memory, x.keys),
                   Rounded(queue, memory, x.values));
}

}  // namespace retort::cuda
