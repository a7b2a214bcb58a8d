// SPDX-License-Identifier: Apache-2.0
// Attention's gradient in f32 (Dao et al., arXiv 2205.14135, algorithm 4): probabilities are
// recomputed, tile by tile, from the forward pass's log_sum.
//   P = exp(S - log_sum)   dV = P' dO   dP = dO V'   dS = P (dP - rowsum(dO O))
//   dK = scale dS' Q       dQ = scale dS K
// With a soft cap, S are the capped scores and dS is multiplied by the slope of the cap.
//
// Two kernels, so that no two blocks add to the same element and all sums have a fixed order: a
// block of the first has the dQ of 64 queries of one head, a block of the second the dK and dV of
// 64 keys of one key head, summed over its query heads. That computes S and dP twice: seven
// products in place of five. Bound by arithmetic. Runs must not share keys.
#include "tensor/cuda/attention.h"
#include "tensor/cuda/attention_tiles.h"
#include "tensor/cuda/cuda_backend.h"

namespace retort::cuda {
namespace {

// deltas = rowsum(dO O) of a tile's queries, a warp a query. dO is rounded as it is for dP: so a
// query that sees one key has dS = 0.
template <class T>
__global__ void DeltaKernel(AttentionView view, Global<const int32_t> tiles, Global<const T> dout,
                            Global<const float> out, Global<float> deltas) {
  const QueryTile tile(view, tiles);
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int query = tile.first + warp; query < tile.end; query += kTileThreads / kWarp) {
    const int64_t row = view.QueryOffset(tile.run, query, tile.head);
    float sum = 0;
    for (int d = lane; d < view.dim; d += kWarp) sum += Widen(dout[row + d]) * out[row + d];
    sum = WarpSum(sum);
    if (lane == 0) deltas[view.StatOffset(tile.run, query, tile.head)] = sum;
  }
}

// log_sum and rowsum(dO O) of 64 queries from `first` on. A barrier must follow.
__device__ void LoadStats(const AttentionView& view, const AttentionRun& run, int first, int head,
                          Global<const float> log_sum, Global<const float> deltas,
                          Shared<float> log_sums, Shared<float> delta) {
  const int i = static_cast<int>(threadIdx.x);
  if (i >= kTile) return;
  const bool there = first + i < run.queries;
  const int64_t at = there ? view.StatOffset(run, first + i, head) : 0;
  log_sums[i] = there ? log_sum[at] : 0;
  delta[i] = there ? deltas[at] : 0;
}

template <int kColumns>
__global__ void __launch_bounds__(kTileThreads, kTileBlocks<kColumns>)
    QueryGradKernel(AttentionView view, Global<const int32_t> tiles, Global<const float> dout,
                    Global<const float> q, Global<const float> keys, Global<const float> values,
                    Global<const float> log_sum, Global<const float> deltas, Global<float> dq) {
  RETORT_SHARED(float, chunk, kChunkFloats<kColumns>);
  RETORT_SHARED(float, weights, kTile* kTileRow);
  RETORT_SHARED(float, log_sums, kTile);
  RETORT_SHARED(float, delta, kTile);
  RETORT_SHARED(int64_t, query_rows, kTile);
  RETORT_SHARED(int64_t, key_rows, kTile);
  const QueryTile tile(view, tiles);
  const AttentionRun& run = tile.run;
  QueryOffsets<kTile>(view, run, tile.first, tile.head, query_rows);
  LoadStats(view, run, tile.first, tile.head, log_sum, deltas, log_sums, delta);

  Sums<kColumns> sums;
  Clear<kColumns>(sums);
  const int begin_key = tile.BeginKey(view), end_key = tile.EndKey(view);
  for (int key = begin_key / kTile * kTile; key < end_key; key += kTile) {
    KeyOffsets<kTile>(view, run, key, begin_key, end_key, tile.kv_head, key_rows);
    Patch scores, ds;
    const TileRows<float> key_tile{keys, key_rows}, value_tile{values, key_rows};
    RowProducts(TileRows<float>{q, query_rows}, key_tile, view.dim, chunk, scores);
    RowProducts(TileRows<float>{dout, query_rows}, value_tile, view.dim, chunk, ds);
    for (int i = 0; i < kPatch; ++i) {
      const int row = PatchRow() + i;
      const float row_sum = log_sums[row], row_delta = delta[row];
      for (int j = 0; j < kPatch; ++j) {
        const bool seen = tile.first + row < tile.end &&
                          view.Sees(run, tile.first + row, key + PatchColumn() + j);
        ds[i][j] = GradWeightsOf(view, seen, scores[i][j], ds[i][j], row_sum, row_delta).ds;
      }
    }
    StoreColumns(ds, weights);
    AddRows<kColumns>(weights, key_tile, view.dim, chunk, sums);
  }
  ForSums<kColumns>(sums, [&](int row, int column, float sum) {
    const int64_t offset = query_rows[row];
    if (offset >= 0 && column < view.dim) dq[offset + column] += sum * view.scale;
  });
}

template <int kColumns>
__global__ void __launch_bounds__(kTileThreads, 1)
    KeyGradKernel(AttentionView view, int runs, Global<const float> dout, Global<const float> q,
                  Global<const float> keys, Global<const float> values, Global<const float> log_sum,
                  Global<const float> deltas, Global<float> dkeys, Global<float> dvalues) {
  RETORT_SHARED(float, chunk, kChunkFloats<kColumns>);
  RETORT_SHARED(float, weights, kTile* kTileRow);
  RETORT_SHARED(float, log_sums, kTile);
  RETORT_SHARED(float, delta, kTile);
  RETORT_SHARED(int64_t, query_rows, kTile);
  RETORT_SHARED(int64_t, key_rows, kTile);
  const KeyTile tile(view, runs);
  const AttentionRun& run = tile.run;
  const int first = tile.first, kv_head = tile.kv_head;
  KeyOffsets<kTile>(view, run, first, tile.BeginKey(view), tile.end, kv_head, key_rows);
  const TileRows<float> key_tile{keys, key_rows}, value_tile{values, key_rows};

  Sums<kColumns> key_sums, value_sums;
  Clear<kColumns>(key_sums);
  Clear<kColumns>(value_sums);
  const int begin = tile.BeginQuery(), end = tile.EndQuery(view);
  for (int head = kv_head * view.group; head < (kv_head + 1) * view.group; ++head) {
    for (int query = begin / kTile * kTile; query < end; query += kTile) {
      QueryOffsets<kTile>(view, run, query, head, query_rows);
      LoadStats(view, run, query, head, log_sum, deltas, log_sums, delta);
      const TileRows<float> query_tile{q, query_rows}, dout_tile{dout, query_rows};
      Patch p, ds;
      RowProducts(key_tile, query_tile, view.dim, chunk, p);
      RowProducts(value_tile, dout_tile, view.dim, chunk, ds);
      for (int j = 0; j < kPatch; ++j) {
        const int column = PatchColumn() + j;
        const float query_sum = log_sums[column], query_delta = delta[column];
        for (int i = 0; i < kPatch; ++i) {
          const bool seen = query + column < run.queries &&
                            view.Sees(run, query + column, first + PatchRow() + i);
          const GradWeights w =
              GradWeightsOf(view, seen, p[i][j], ds[i][j], query_sum, query_delta);
          p[i][j] = w.p;
          ds[i][j] = w.ds;
        }
      }
      StoreColumns(p, weights);
      AddRows<kColumns>(weights, dout_tile, view.dim, chunk, value_sums);
      StoreColumns(ds, weights);
      AddRows<kColumns>(weights, query_tile, view.dim, chunk, key_sums);
    }
  }
  __syncthreads();  // also when no query sees the tile: key_rows are complete
  ForSums<kColumns>(key_sums, [&](int row, int column, float sum) {
    const int64_t offset = key_rows[row];
    if (offset >= 0 && column < view.dim) dkeys[offset + column] += sum * view.scale;
  });
  ForSums<kColumns>(value_sums, [&](int row, int column, float sum) {
    const int64_t offset = key_rows[row];
    if (offset >= 0 && column < view.dim) dvalues[offset + column] += sum;
  });
}

}  // namespace

void CudaBackend::AttentionGrad(const AttentionShape& shape, const AttentionPlan& plan,
                                const Tensor& dout, const Tensor& q, const Tensor& keys,
                                const Tensor& values, const Tensor& out, const Tensor& log_sum,
                                Tensor& dq, Tensor& dkeys, Tensor& dvalues) {
  const CudaPlan& made = CudaPlan::Of(plan);
  made.host().Check(shape, q, keys, values);
  RETORT_CHECK(keys.shape().rank() == 2 && dout.elements() == q.elements() &&
                   out.elements() == q.elements() && dq.elements() == q.elements() &&
                   log_sum.elements() == q.rows() * shape.heads &&
                   dkeys.elements() == keys.elements() && dvalues.elements() == keys.elements(),
               "the gradient of attention of ", q.shape().text());
  const AttentionView view = ViewOf(shape, made, keys.shape());
  const Tensor deltas = Tensor::Make(*memory_, log_sum.shape(), DType::kF32);
  const Global<const int32_t> tiles = ItemsOf(made, made.all_tiles());
  const Grid query_grid{QueryBlocks(view, made.all_tiles()), kTileThreads};
  const Grid key_grid{KeyBlocks(view, made), kTileThreads};
  if (OnTensorCores(compute_, facts_, shape, keys, values)) {
    const Tensor rounded = Rounded(*queue_, *memory_, dout);
    Launch(*queue_, query_grid, DeltaKernel<BF16>, view, tiles, In<BF16>(rounded), In<float>(out),
           Out<float>(deltas));
    return TensorCoreGrad(*queue_, *memory_, view, made,
                          {rounded, q, keys, values, log_sum, deltas, dq, dkeys, dvalues});
  }
  Launch(*queue_, query_grid, DeltaKernel<float>, view, tiles, In<float>(dout), In<float>(out),
         Out<float>(deltas));
  WithColumns(view.dim, [&]<int kColumns>() {
    Launch(*queue_, query_grid, QueryGradKernel<kColumns>, view, tiles, In<float>(dout),
           In<float>(q), In<float>(keys), In<float>(values), In<float>(log_sum), In<float>(deltas),
           Out<float>(dq));
    Launch(*queue_, key_grid, KeyGradKernel<kColumns>, view, made.runs().count, In<float>(dout),
           In<float>(q), In<float>(keys), In<float>(values), In<float>(log_sum), In<float>(deltas),
           Out<float>(dkeys), Out<float>(dvalues));
  });
}

}  // namespace retort::cuda
