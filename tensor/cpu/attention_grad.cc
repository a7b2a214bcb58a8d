// SPDX-License-Identifier: Apache-2.0
// Attention's backward kernel (Dao et al., "FlashAttention", arXiv 2205.14135, algorithm 4):
// probabilities are recomputed, tile by tile, from the forward pass's log_sum.
//   P = exp(S - log_sum)   dV = P' dO   dP = dO V'   dS = P (dP - rowsum(dO O))
//   dK = scale dS' Q       dQ = scale dS K
// With a soft cap, S are the capped scores and dS is multiplied by the slope of the cap.
//
// A piece is a share of a run's queries with one key head; no other piece writes their dQ. If there
// are many runs and key heads, a share is all queries. Otherwise long runs are divided into two
// shares of equal work; the first accumulates dK and dV in separate tensors that cover its keys.
#include <cmath>
#include <utility>
#include <vector>

#include "tensor/cpu/attention.h"
#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/tile.h"
#include "tensor/cpu/transpose.h"

namespace retort {
namespace {

struct GradTensors {
  const float *dout, *q, *keys, *values, *out, *log_sum;
  float *dq, *dkeys, *dvalues;
  int64_t skipped;  // elements of the keys before those of dkeys and dvalues
};

// One worker's buffers; p and ds have the layout of the forward pass's scores. Rows beyond the tile
// are zeros.
struct GradSpace {
  float *q_cols, *dout_cols;      // [D, rows]; q is scaled in both
  float *q_rows, *dout_rows;      // [rows, D]
  float* dq;                      // [rows, D]
  float *p, *ds;                  // [kTileKeys, rows]
  float *keys, *values, *dkeys;   // [kTileKeys, D]
  float *log_sum, *delta;         // [rows]
  int32_t *first_key, *last_key;  // [rows]

  static int64_t Floats(const AttentionGeometry& g) {
    return g.tile_rows * (5 * g.padded_dim + 2 * kTileKeys + 4) + 3 * kTileKeys * g.padded_dim;
  }
  GradSpace(const AttentionGeometry& g, float* at) {
    const auto take = [&](int64_t n) { return std::exchange(at, at + n); };
    const int64_t matrix = g.tile_rows * g.padded_dim;
    q_cols = take(matrix), dout_cols = take(matrix), q_rows = take(matrix),
    dout_rows = take(matrix);
    dq = take(matrix);
    p = take(kTileKeys * g.tile_rows), ds = take(kTileKeys * g.tile_rows);
    keys = take(kTileKeys * g.padded_dim), values = take(kTileKeys * g.padded_dim);
    dkeys = take(kTileKeys * g.padded_dim);
    log_sum = take(g.tile_rows), delta = take(g.tile_rows);
    first_key = IntegersAt(take(g.tile_rows), g.tile_rows);
    last_key = IntegersAt(take(g.tile_rows), g.tile_rows);
  }
};

// Accumulators of dK and dV for key rows from first_row on.
struct KeySums {
  Tensor dkeys, dvalues;
  int64_t first_row;
};

// Queries [begin, end) of a run with one key head, and the index of the KeySums that they add to.
struct Share {
  const AttentionRun* run;
  int64_t kv_head, begin, end;
  size_t sums;
};

struct GradPiece {
  template <int W>
  RETORT_INLINE static void Begin(const QueryTile& tile, const GradTensors& x, int64_t rows,
                                  const GradSpace& s) {
    const AttentionGeometry& g = *tile.geometry;
    const int64_t ld = g.padded_dim, cols = RoundUp(g.dim, W);
    std::fill(s.dq, s.dq + rows * ld, 0.0f);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t query = std::min(r / g.group, tile.count - 1);
      s.first_key[r] = static_cast<int32_t>(tile.FirstKey(query));
      float *q = s.q_rows + r * ld, *dout = s.dout_rows + r * ld;
      if (r >= tile.rows()) {
        std::fill(q, q + ld, 0.0f);
        std::fill(dout, dout + ld, 0.0f);
        s.log_sum[r] = s.delta[r] = 0;
        s.last_key[r] = -1;
        continue;
      }
      const int64_t at = tile.Offset(r);
      CopyRow<W>(x.q + at, g.dim, g.scale, q);
      CopyRow<W>(x.dout + at, g.dim, 1, dout);
      s.delta[r] = SumLanes<W>(DotTerm{x.dout + at, x.out + at}, 0, g.dim);
      s.log_sum[r] = x.log_sum[tile.StatOffset(r)];
      s.last_key[r] = static_cast<int32_t>(tile.LastKey(query));
    }
    Transpose<W>(s.q_rows, ld, rows, cols, s.q_cols, rows);
    Transpose<W>(s.dout_rows, ld, rows, cols, s.dout_cols, rows);
  }

  // p: from scores (capped if kCapped) to probabilities. ds: from dP to dS.
  template <int W, bool kCapped>
  RETORT_INLINE static void Probabilities(const GradSpace& s, float soft_cap, int64_t rows,
                                          int64_t first, int64_t n, bool all) {
    for (int64_t r = 0; r < rows; r += W) {
      const Floats<W> log_sum = Load<W>(s.log_sum + r), delta = Load<W>(s.delta + r);
      Ints<W> low, high;
      std::memcpy(&low, s.first_key + r, sizeof low);
      std::memcpy(&high, s.last_key + r, sizeof high);
      for (int64_t k = 0; k < n; ++k) {
        const auto key = static_cast<int32_t>(first + k);
        float *p_at = s.p + k * rows + r, *ds_at = s.ds + k * rows + r;
        const Floats<W> score = Load<W>(p_at);
        Floats<W> p = Exp<W>(score - log_sum);
        if (!all) p = ((low <= key) & (high >= key)) ? p : Splat<W>(0);
        Store<W>(p_at, p);
        Floats<W> ds = p * (Load<W>(ds_at) - delta);
        if constexpr (kCapped) ds *= SoftCapSlope<W>(score, soft_cap);
        Store<W>(ds_at, ds);
      }
    }
  }

  // The gradient rows of the keys += a b, with a [keys, rows] and b [rows, D]. `gradient` lacks the
  // keys' first `skipped` elements.
  template <int W>
  RETORT_INLINE static void AddToKeys(const AttentionGeometry& g, const KeyOffsets& at,
                                      int64_t rows, const float* a, const float* b, float* copy,
                                      float* gradient, int64_t skipped) {
    const TileA left{a, rows, 1};
    const TileB right{b, g.padded_dim};
    const int64_t cols = RoundUp(g.dim, W), depth = rows;
    if (at.consecutive && g.dim % W == 0) {
      const TileC sum{gradient + (at.at[0] - skipped), g.key_row};
      return CallSimd<TileProduct<true>, W>(at.count, cols, depth, left, right, sum);
    }
    CallSimd<TileProduct<false>, W>(at.count, cols, depth, left, right, TileC{copy, g.padded_dim});
    for (int64_t k = 0; k < at.count; ++k) {
      float* to = gradient + (at.at[k] - skipped);
      for (int64_t d = 0; d < g.dim; ++d) to[d] += copy[k * g.padded_dim + d];
    }
  }

  template <int W>
  RETORT_INLINE static void Tile(const QueryTile& tile, const GradTensors& x, const GradSpace& s) {
    const AttentionGeometry& g = *tile.geometry;
    const int64_t rows = RoundUp(tile.rows(), W), cols = RoundUp(g.dim, W), ld = g.padded_dim;
    Begin<W>(tile, x, rows, s);
    const int64_t end = tile.LastKey(tile.count - 1) + 1;
    for (int64_t first = tile.FirstKey(0); first < end; first += kTileKeys) {
      const int64_t n = std::min(kTileKeys, end - first);
      const KeyOffsets at(g, *tile.run, tile.kv_head, first, n);
      const KeyRows k = ReadKeys<W>(g, x.keys, at, s.keys),
                    v = ReadKeys<W>(g, x.values, at, s.values);
      CallSimd<TileProduct<false>, W>(n, rows, g.dim, TileA{k.data, k.row, 1},
                                      TileB{s.q_cols, rows}, TileC{s.p, rows});
      CallSimd<TileProduct<false>, W>(n, rows, g.dim, TileA{v.data, v.row, 1},
                                      TileB{s.dout_cols, rows}, TileC{s.ds, rows});
      const bool all = tile.SeesAll(first, first + n) && rows == tile.rows();
      if (g.soft_cap > 0) {
        CapScores<W>(g, s.p, n * rows);
        Probabilities<W, true>(s, g.soft_cap, rows, first, n, all);
      } else {
        Probabilities<W, false>(s, 0, rows, first, n, all);
      }
      AddToKeys<W>(g, at, rows, s.p, s.dout_rows, s.dkeys, x.dvalues, x.skipped);
      AddToKeys<W>(g, at, rows, s.ds, s.q_rows, s.dkeys, x.dkeys, x.skipped);
      CallSimd<TileProduct<true>, W>(tile.rows(), cols, n, TileA{s.ds, 1, rows},
                                     TileB{k.data, k.row}, TileC{s.dq, ld});
    }
    for (int64_t r = 0; r < tile.rows(); ++r) {
      float* dq = x.dq + tile.Offset(r);
      for (int64_t d = 0; d < g.dim; ++d) dq[d] += s.dq[r * ld + d] * g.scale;
    }
  }

  template <int W>
  RETORT_INLINE static void Run(const AttentionGeometry* g, const Share* share,
                                const GradTensors* x, const GradSpace* s) {
    for (int64_t begin = share->begin; begin < share->end; begin += g->tile_queries) {
      const int64_t count = std::min(g->tile_queries, share->end - begin);
      Tile<W>({g, share->run, share->kv_head, begin, count}, *x, *s);
    }
  }
};

constexpr int64_t kManyRuns = 8;        // with at least this many, runs are not divided
constexpr int64_t kShareQueries = 256;  // minimal queries per share

// The range [first, end) of the key rows of a run's keys [0, keys).
std::pair<int64_t, int64_t> KeyRange(const AttentionLayout& layout, const AttentionRun& run,
                                     int64_t keys) {
  const int32_t* blocks = &layout.block_rows[static_cast<size_t>(run.first_block)];
  int64_t first = blocks[0], end = 0;
  for (int64_t k = 0; k < keys; k += layout.block_size, ++blocks) {
    first = std::min<int64_t>(first, *blocks);
    end = std::max(end, *blocks + std::min<int64_t>(layout.block_size, keys - k));
  }
  return {first, end};
}

// All shares. Appends their accumulators to `sums`, whose first element is the result itself. The
// division depends on the layout alone. Query i has about i keys, so the work before query i grows
// with i^2, and half of it is before i = queries * sqrt(0.5).
std::vector<Share> Shares(const AttentionGeometry& g, Backend& backend,
                          std::vector<KeySums>& sums) {
  std::vector<Share> all;
  const bool few = std::ssize(g.layout->runs) * g.kv_heads < kManyRuns;
  for (const AttentionRun& run : g.layout->runs) {
    int64_t middle = 0;
    if (few && run.queries >= 2 * kShareQueries) {
      middle = static_cast<int64_t>(static_cast<double>(run.queries) * std::sqrt(0.5)) /
               g.tile_queries * g.tile_queries;
      const auto [first, end] = KeyRange(*g.layout, run, run.first_position + middle);
      const Shape shape{end - first, g.kv_heads * g.dim};
      sums.push_back({backend.Zeros(shape), backend.Zeros(shape), first});
    }
    for (int64_t head = 0; head < g.kv_heads; ++head) {
      if (middle > 0) all.push_back({&run, head, 0, middle, sums.size() - 1});
      all.push_back({&run, head, middle, run.queries, 0});
    }
  }
  return all;
}

}  // namespace

void CpuBackend::AttentionGrad(const AttentionShape& shape, const AttentionPlan& plan,
                               const Tensor& dout, const Tensor& q, const Tensor& keys,
                               const Tensor& values, const Tensor& out, const Tensor& log_sum,
                               Tensor& dq, Tensor& dkeys, Tensor& dvalues) {
  const HostPlan& host = HostPlan::Of(plan);
  host.Check(shape, q, keys, values);
  RETORT_CHECK(keys.shape().rank() == 2 && dout.elements() == q.elements() &&
               out.elements() == q.elements() && dq.elements() == q.elements() &&
               log_sum.elements() == q.rows() * shape.heads &&
               dkeys.elements() == keys.elements() && dvalues.elements() == keys.elements());
  const AttentionGeometry g(shape, host.layout(), keys.shape());
  std::vector<KeySums> sums{{dkeys, dvalues, 0}};
  const std::vector<Share> shares = Shares(g, *this, sums);
  const int64_t floats = GradSpace::Floats(g);
  const Tensor space = Tensor::Make(*memory_, {pool_.threads(), floats}, DType::kF32);
  const auto piece = [&](int64_t p, int worker) {
    const GradSpace mine(g, space.data<float>() + worker * floats);
    const Share& share = shares[static_cast<size_t>(p)];
    const KeySums& to = sums[share.sums];
    const GradTensors x{dout.data<float>(),        q.data<float>(),        keys.data<float>(),
                        values.data<float>(),      out.data<float>(),      log_sum.data<float>(),
                        dq.data<float>(),          to.dkeys.data<float>(), to.dvalues.data<float>(),
                        to.first_row * keys.cols()};
    CallSimd<GradPiece>(isa_, &g, &share, &x, &mine);
  };
  pool_.For(std::ssize(shares), std::cref(piece));
  for (size_t i = 1; i < sums.size(); ++i) {
    Tensor dk = dkeys.RowRange(sums[i].first_row, sums[i].dkeys.rows());
    Tensor dv = dvalues.RowRange(sums[i].first_row, sums[i].dvalues.rows());
    Accumulate(sums[i].dkeys, dk);
    Accumulate(sums[i].dvalues, dv);
  }
}

}  // namespace retort
