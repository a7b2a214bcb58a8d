// SPDX-License-Identifier: Apache-2.0
// Attention's forward kernel in f32: tiles of queries against tiles of keys with a running softmax
// (Milakov and Gimelshein, arXiv 1805.02867; Dao et al., arXiv 2205.14135). A block computes 64
// queries of one head, the tiles with the most keys first. Bound by arithmetic.
//
// Tiles of keys begin at multiples of 64, also in a window, and a query's sums take them in order:
// so its result depends neither on the queries that are computed with it nor on other runs.
#include "tensor/cuda/attention.h"
#include "tensor/cuda/attention_tiles.h"
#include "tensor/cuda/cuda_backend.h"

namespace retort::cuda {
namespace {

// The running softmax of a thread's four rows; the 16 threads of a row hold the same.
struct RunningSoftmax {
  float most[kPatch];  // the largest score so far, times log2(e)
  float sum[kPatch];   // of exp2(score - most)

  // Scores become exp2(score - most); `factors` are those for earlier sums.
  __device__ void Step(Patch& scores, float (&factors)[kPatch]) {
    for (int i = 0; i < kPatch; ++i) {
      float top = most[i];
      for (int j = 0; j < kPatch; ++j) top = fmaxf(top, scores[i][j]);
      for (int step = 8; step > 0; step /= 2) {
        top = fmaxf(top, __shfl_xor_sync(kAllLanes, top, step));
      }
      // In a row without any visible key so far, any finite base gives exponentials of 0.
      const float base = top == -INFINITY ? 0 : top;
      float added = 0;
      for (int j = 0; j < kPatch; ++j) added += scores[i][j] = exp2f(scores[i][j] - base);
      for (int step = 8; step > 0; step /= 2) {
        added += __shfl_xor_sync(kAllLanes, added, step);
      }
      factors[i] = exp2f(most[i] - base);
      sum[i] = sum[i] * factors[i] + added;
      most[i] = top;
    }
  }
};

template <class T, int kColumns>
__global__ void __launch_bounds__(kTileThreads, kTileBlocks<kColumns>)
    ForwardKernel(AttentionView view, Global<const int32_t> tiles, Global<const float> q,
                  Global<const T> keys, Global<const T> values, Global<float> out,
                  Global<float> log_sum) {
  RETORT_SHARED(float, chunk, kChunkFloats<kColumns>);
  RETORT_SHARED(float, weights, kTile* kTileRow);
  RETORT_SHARED(int64_t, query_rows, kTile);
  RETORT_SHARED(int64_t, key_rows, kTile);
  const QueryTile tile(view, tiles);
  const AttentionRun& run = tile.run;
  QueryOffsets<kTile>(view, run, tile.first, tile.head, query_rows);

  Sums<kColumns> sums;
  Clear<kColumns>(sums);
  RunningSoftmax softmax;
  for (int i = 0; i < kPatch; ++i) softmax.most[i] = -INFINITY, softmax.sum[i] = 0;
  const int begin_key = tile.BeginKey(view), end_key = tile.EndKey(view);
  for (int key = begin_key / kTile * kTile; key < end_key; key += kTile) {
    KeyOffsets<kTile>(view, run, key, begin_key, end_key, tile.kv_head, key_rows);
    Patch scores;
    RowProducts(TileRows<float>{q, query_rows}, TileRows<T>{keys, key_rows}, view.dim, chunk,
                scores);
    for (int i = 0; i < kPatch; ++i) {
      for (int j = 0; j < kPatch; ++j) {
        const bool seen = view.Sees(run, tile.first + PatchRow() + i, key + PatchColumn() + j);
        scores[i][j] = seen ? view.Score(scores[i][j]) * kLog2OfE : -INFINITY;
      }
    }
    float factors[kPatch];
    softmax.Step(scores, factors);
    for (int i = 0; i < kPatch; ++i)
      for (int c = 0; c < kColumns / 16; ++c) sums[i][c] *= factors[i];
    StoreColumns(scores, weights);
    AddRows<kColumns>(weights, TileRows<T>{values, key_rows}, view.dim, chunk, sums);
  }

  for (int i = 0; i < kPatch; ++i)
    for (int c = 0; c < kColumns / 16; ++c) sums[i][c] *= 1 / softmax.sum[i];
  ForSums<kColumns>(sums, [&](int row, int column, float sum) {
    const int64_t offset = query_rows[row];
    if (offset >= 0 && column < view.dim) out[offset + column] = sum;
  });
  for (int i = 0; i < kPatch; ++i) {
    const int query = tile.first + PatchRow() + i;
    if (PatchColumn() != 0 || query >= tile.end) continue;
    log_sum[view.StatOffset(run, query, tile.head)] =
        (softmax.most[i] + log2f(softmax.sum[i])) * kLogOf2;
  }
}

template <class T>
void RunForward(Queue& queue, const AttentionView& view, const CudaPlan& plan,
                const ForwardTensors& x) {
  const Grid grid{QueryBlocks(view, plan.tiles()), kTileThreads};
  WithColumns(view.dim, [&]<int kColumns>() {
    Launch(queue, grid, ForwardKernel<T, kColumns>, view, ItemsOf(plan, plan.tiles()),
           In<float>(x.q), In<T>(x.keys), In<T>(x.values), Out<float>(x.out),
           Out<float>(x.log_sum));
  });
}

}  // namespace

void CudaBackend::Attention(const AttentionShape& shape, const AttentionPlan& plan, const Tensor& q,
                            const Tensor& keys, const Tensor& values, Tensor& out,
                            Tensor& log_sum) {
  const CudaPlan& made = CudaPlan::Of(plan);
  made.host().Check(shape, q, keys, values);
  RETORT_CHECK(out.elements() == q.elements() && log_sum.elements() == q.rows() * shape.heads,
               out.shape().text(), " of ", q.shape().text());
  const AttentionView view = ViewOf(shape, made, keys.shape());
  const ForwardTensors x{q, keys, values, out, log_sum};
  DecodeForward(*queue_, *memory_, view, made, x);
  if (OnTensorCores(compute_, facts_, shape, keys, values)) {
    return TensorCoreForward(*queue_, *memory_, view, made, x);
  }
  switch (keys.dtype()) {
    case DType::kF32:
      return RunForward<float>(*queue_, view, made, x);
    case DType::kF16:
      return RunForward<F16>(*queue_, view, made, x);
    case DType::kBF16:
      return RunForward<BF16>(*queue_, view, made, x);
    default:
      RETORT_CHECK(false, "keys of ", NameOf(keys.dtype()));
  }
}

}  // namespace retort::cuda
