// SPDX-License-Identifier: Apache-2.0
// Attention's gradient on the tensor cores: the kernels of attention_grad.cu, with queries, keys,
// values, dO, P and dS rounded to bf16. In the first a warp has 16 queries, and K and V come in
// tiles of 32. In the second it has 16 keys, whose dK and dV fill the registers, so that K and V
// stay in shared memory; Q and dO come in tiles of 32, head after head of those that share the key
// head.
#include "tensor/cuda/attention.h"
#include "tensor/cuda/attention_mma.h"

namespace retort::cuda {
namespace {

// Two tiles each of keys and values, and the queries and dO of wide heads.
template <int kDim>
constexpr int64_t kQueryGradBytes = MmaBytes<kDim>(4, kDim > kNarrow ? 2 : 0);

template <int kDim>
__global__ void __launch_bounds__(kMmaThreads, kDim > kNarrow ? 1 : 2)
    QueryGradMmaKernel(AttentionView view, Global<const int32_t> tiles, Global<const BF16> dout,
                       Global<const BF16> q, Global<const BF16> keys, Global<const BF16> values,
                       Global<const float> log_sum, Global<const float> deltas, Global<float> dq) {
  RETORT_SHARED(int64_t, offsets, 2 * kPlacedRows);
  RETORT_SHARED(int64_t, query_offsets, kTile);
  const Shared<BF16> key_tiles = DynamicShared<BF16>();
  const Shared<BF16> value_tiles = key_tiles + 2 * kMmaTile<kDim>;
  const Shared<BF16> query_space = value_tiles + 2 * kMmaTile<kDim>;
  const QueryTile tile(view, tiles);
  QueryOffsets<kTile>(view, tile.run, tile.first, tile.head, query_offsets);
  __syncthreads();
  Left<kDim> query_rows, dout_rows;
  LoadLeft<kDim>({q, query_offsets}, view.dim, query_space, query_rows);
  LoadLeft<kDim>({dout, query_offsets}, view.dim, query_space + kLeftTile<kDim>, dout_rows);
  const int query = tile.first + LaneRow();
  float log_sums[2] = {}, delta[2] = {};
  for (int half = 0; half < 2; ++half) {
    if (query + half * 8 >= tile.end) continue;
    const int64_t stat = view.StatOffset(tile.run, query + half * 8, tile.head);
    log_sums[half] = log_sum[stat];
    delta[half] = deltas[stat];
  }

  Products<kDim> sums;
  Clear<kDim>(sums);
  const auto step = [&](int key, const Shared<BF16>& key_tile, const Shared<BF16>& value_tile) {
    Products<kMmaRows> scores, ds;
    MultiplyRows<kDim>(query_rows, key_tile, scores);
    MultiplyRows<kDim>(dout_rows, value_tile, ds);
    const bool all = tile.SeesAll(view, key, key + kMmaRows);
#pragma unroll
    for (int c = 0; c < kMmaRows / 8; ++c) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int half = i / 2, column = key + c * 8 + LaneColumn() + i % 2;
        const bool seen = all || view.Sees(tile.run, query + half * 8, column);
        ds[c][i] = GradWeightsOf(view, seen && query + half * 8 < tile.end, scores[c][i], ds[c][i],
                                 log_sums[half], delta[half])
                       .ds;
      }
    }
    AddRows<kDim>(ds, key_tile, sums);
  };
  ForKeyTiles<kDim>(view, tile, keys, values, offsets, key_tiles, value_tiles, step);
  PutRows<kDim>(sums, query_offsets, view.dim,
                [&](int64_t at, float sum) { dq[at] += sum * view.scale; });
}

// 64 keys and their values, and two tiles each of queries and dO.
template <int kDim>
constexpr int64_t kKeyGradBytes = MmaBytes<kDim>(4, 2);
// The dK and dV of wide heads are too many for four warps' registers: eight warps have half of the
// columns each, and S and dP are computed by both halves.
template <int kDim>
constexpr int kKeyGradHalves = kDim > kNarrow ? 2 : 1;

template <int kDim>
__global__ void __launch_bounds__(kMmaThreads* kKeyGradHalves<kDim>, kDim > kNarrow ? 1 : 2)
    KeyGradMmaKernel(AttentionView view, int runs, Global<const BF16> dout, Global<const BF16> q,
                     Global<const BF16> keys, Global<const BF16> values,
                     Global<const float> log_sum, Global<const float> deltas, Global<float> dkeys,
                     Global<float> dvalues) {
  RETORT_SHARED(int64_t, offsets, 2 * kPlacedRows);
  RETORT_SHARED(int64_t, key_offsets, kTile);
  RETORT_SHARED(float, log_sums, 2 * kPlacedRows);
  RETORT_SHARED(float, delta, 2 * kPlacedRows);
  const KeyTile tile(view, runs);
  const int key = tile.first + LaneRow();
  const Shared<BF16> key_tile = DynamicShared<BF16>(), value_tile = key_tile + kLeftTile<kDim>;
  const Shared<BF16> query_tiles = value_tile + kLeftTile<kDim>;
  const Shared<BF16> dout_tiles = query_tiles + 2 * kMmaTile<kDim>;
  KeyOffsets<kTile>(view, tile.run, tile.first, tile.BeginKey(view), tile.end, tile.kv_head,
                    key_offsets);
  __syncthreads();
  LoadTile<kDim, kTile>(TileRows<BF16>{keys, key_offsets}, view.dim, key_tile);
  LoadTile<kDim, kTile>(TileRows<BF16>{values, key_offsets}, view.dim, value_tile);
  const int warp_rows = WarpRow() * kMmaRow<kDim>;
  const SharedFragments<kDim> key_rows{key_tile + warp_rows}, value_rows{value_tile + warp_rows};
  constexpr int kColumns = kDim / kKeyGradHalves<kDim>;
  const int first_column = static_cast<int>(threadIdx.x) / kMmaThreads * kColumns;

  Products<kColumns> key_sums, value_sums;
  Clear<kColumns>(key_sums);
  Clear<kColumns>(value_sums);
  // Tile n is that of head n / tiles of the group.
  const int begin = tile.BeginQuery() / kMmaRows * kMmaRows, end = tile.EndQuery(view);
  const int tiles = end > begin ? (end - begin + kMmaRows - 1) / kMmaRows : 0;
  const auto place = [&](int group) {
    const int i = static_cast<int>(threadIdx.x), n = group + i / kMmaRows;
    if (i >= kPlacedRows) return;
    const int query = begin + n % tiles * kMmaRows + i % kMmaRows, member = n / tiles;
    const bool there = member < view.group && query < tile.run.queries;
    const int head = tile.kv_head * view.group + member, at = PlaceOf(group) + i;
    const int64_t stat = there ? view.StatOffset(tile.run, query, head) : 0;
    offsets[at] = there ? stat * view.dim : -1;
    log_sums[at] = there ? log_sum[stat] : 0;
    delta[at] = there ? deltas[stat] : 0;
  };
  const auto load = [&](int n) {
    const Shared<int64_t> at = offsets + PlaceOf(n);
    LoadTile<kDim>(TileRows<BF16>{q, at}, view.dim, query_tiles + n % 2 * kMmaTile<kDim>);
    LoadTile<kDim>(TileRows<BF16>{dout, at}, view.dim, dout_tiles + n % 2 * kMmaTile<kDim>);
  };
  ForTiles(tiles * view.group, place, load, [&](int n) {
    const int query = begin + n % tiles * kMmaRows, stats = PlaceOf(n);
    const Shared<BF16> query_tile = query_tiles + n % 2 * kMmaTile<kDim>;
    const Shared<BF16> dout_tile = dout_tiles + n % 2 * kMmaTile<kDim>;
    Products<kMmaRows> p, ds;
    MultiplyRows<kDim>(key_rows, query_tile, p);
    MultiplyRows<kDim>(value_rows, dout_tile, ds);
    const bool all = tile.SeenByAll(view, query, query + kMmaRows);
#pragma unroll
    for (int c = 0; c < kMmaRows / 8; ++c) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int column = c * 8 + LaneColumn() + i % 2;
        const float query_sum = log_sums[stats + column], query_delta = delta[stats + column];
        const bool seen = all || (query + column < tile.run.queries &&
                                  view.Sees(tile.run, query + column, key + i / 2 * 8));
        const GradWeights w = GradWeightsOf(view, seen, p[c][i], ds[c][i], query_sum, query_delta);
        p[c][i] = w.p;
        ds[c][i] = w.ds;
      }
    }
    AddRows<kDim, kColumns>(p, dout_tile + first_column, value_sums);
    AddRows<kDim, kColumns>(ds, query_tile + first_column, key_sums);
  });
  const int columns = view.dim - first_column;
  PutRows<kColumns>(key_sums, key_offsets, columns,
                    [&](int64_t at, float sum) { dkeys[at + first_column] += sum * view.scale; });
  PutRows<kColumns>(value_sums, key_offsets, columns,
                    [&](int64_t at, float sum) { dvalues[at + first_column] += sum; });
}

}  // namespace

void TensorCoreGrad(Queue& queue, Memory& memory, const AttentionView& view, const CudaPlan& plan,
                    const GradTensors& x) {
  const Tensor dout = Rounded(queue, memory, x.dout), q = Rounded(queue, memory, x.q),
               keys = Rounded(queue, memory, x.keys), values = Rounded(queue, memory, x.values);
  WithMmaColumns(view.dim, [&]<int kDim>() {
    const Grid query_grid{.x = QueryBlocks(view, plan.all_tiles()),
                          .threads = kMmaThreads,
                          .shared_bytes = kQueryGradBytes<kDim>};
    Launch(queue, query_grid, QueryGradMmaKernel<kDim>, view, ItemsOf(plan, plan.all_tiles()),
           In<BF16>(dout), In<BF16>(q), In<BF16>(keys), In<BF16>(values), In<float>(x.log_sum),
           In<float>(x.deltas), Out<float>(x.dq));
    const Grid key_grid{.x = KeyBlocks(view, plan),
                        .threads = kMmaThreads * kKeyGradHalves<kDim>,
                        .shared_bytes = kKeyGradBytes<kDim>};
    Launch(queue, key_grid, KeyGradMmaKernel<kDim>, view, plan.runs().count, In<BF16>(dout),
           In<BF16>(q), In<BF16>(keys), In<BF16>(values), In<float>(x.log_sum), In<float>(x.deltas),
           Out<float>(x.dkeys), Out<float>(x.dvalues));
  });
}

}  // namespace retort::cuda
