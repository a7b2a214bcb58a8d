// SPDX-License-Identifier: Apache-2.0
// Attention's forward kernel: tiles of queries against tiles of keys with a running softmax
// (Milakov and Gimelshein, "Online normalizer calculation for softmax", arXiv 1805.02867; Dao et
// al., "FlashAttention", arXiv 2205.14135). Runs of one query use tensor/cpu/attention_decode.cc.
#include "tensor/cpu/attention.h"

#include <cmath>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/tile.h"
#include "tensor/cpu/transpose.h"

namespace retort {
namespace {

// One worker's buffers for a tile of `rows` query rows.
struct ForwardSpace {
  float* queries;                 // [D, rows], scaled
  float* scores;                  // [kTileKeys, rows]
  float* out;                     // [rows, D]
  float *keys, *values;           // [kTileKeys, D]
  float *most, *sum, *factor;     // [rows]
  int32_t *first_key, *last_key;  // [rows]

  static int64_t Floats(const AttentionGeometry& g) {
    return g.tile_rows * (2 * g.padded_dim + kTileKeys + 5) + 2 * kTileKeys * g.padded_dim;
  }
  ForwardSpace(const AttentionGeometry& g, float* at) {
    const auto take = [&](int64_t n) { return std::exchange(at, at + n); };
    queries = take(g.padded_dim * g.tile_rows);
    scores = take(kTileKeys * g.tile_rows);
    out = take(g.tile_rows * g.padded_dim);
    keys = take(kTileKeys * g.padded_dim);
    values = take(kTileKeys * g.padded_dim);
    most = take(g.tile_rows);
    sum = take(g.tile_rows);
    factor = take(g.tile_rows);
    first_key = IntegersAt(take(g.tile_rows), g.tile_rows);
    last_key = IntegersAt(take(g.tile_rows), g.tile_rows);
  }
};

template <class T>
struct ForwardTile {
  // One step of the running softmax, over n more keys: scores become exp(score - most), and
  // `factor` is set to the factor for earlier sums.
  template <int W>
  RETORT_INLINE static void Softmax(const ForwardSpace& s, int64_t rows, int64_t first, int64_t n,
                                    bool all) {
    for (int64_t r = 0; r < rows; r += W) {
      float* column = s.scores + r;
      const Floats<W> before = Load<W>(s.most + r);
      Floats<W> most = before;
      if (!all) {
        Ints<W> low, high;
        std::memcpy(&low, s.first_key + r, sizeof low);
        std::memcpy(&high, s.last_key + r, sizeof high);
        for (int64_t k = 0; k < n; ++k) {
          const auto key = static_cast<int32_t>(first + k);
          const Floats<W> score = Load<W>(column + k * rows);
          Store<W>(column + k * rows,
                   ((low <= key) & (high >= key)) ? score : Splat<W>(kMinusInfinity));
        }
      }
      for (int64_t k = 0; k < n; ++k) most = Max<W>(Load<W>(column + k * rows), most);
      // In a row without any visible key so far, any finite base gives exponentials of 0.
      const Floats<W> base = most == kMinusInfinity ? Splat<W>(0) : most;
      Floats<W> sum = {};
      for (int64_t k = 0; k < n; ++k) {
        const Floats<W> e = Exp<W>(Load<W>(column + k * rows) - base);
        Store<W>(column + k * rows, e);
        sum += e;
      }
      const Floats<W> factor = Exp<W>(before - base);
      Store<W>(s.factor + r, factor);
      Store<W>(s.sum + r, Load<W>(s.sum + r) * factor + sum);
      Store<W>(s.most + r, most);
    }
  }

  // Transposes the scaled queries, using `out` as a buffer, then clears `out` for the sums.
  template <int W>
  RETORT_INLINE static void Begin(const QueryTile& tile, const float* q, int64_t rows,
                                  const ForwardSpace& s) {
    const AttentionGeometry& g = *tile.geometry;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t query = std::min(r / g.group, tile.count - 1);
      s.most[r] = kMinusInfinity;
      s.sum[r] = 0;
      s.first_key[r] = static_cast<int32_t>(tile.FirstKey(query));
      s.last_key[r] = static_cast<int32_t>(tile.LastKey(query));
      if (r < tile.rows()) CopyRow<W>(q + tile.Offset(r), g.dim, g.scale, s.out + r * g.padded_dim);
    }
    std::fill(s.out + tile.rows() * g.padded_dim, s.out + rows * g.padded_dim, 0.0f);
    Transpose<W>(s.out, g.padded_dim, rows, RoundUp(g.dim, W), s.queries, rows);
    std::fill(s.out, s.out + rows * g.padded_dim, 0.0f);
  }

  template <int W>
  RETORT_INLINE static void Run(const QueryTile* work, const ForwardTensors* x,
                                const ForwardSpace* space) {
    const QueryTile& tile = *work;
    const ForwardSpace& s = *space;
    const AttentionGeometry& g = *tile.geometry;
    const int64_t rows = RoundUp(tile.rows(), W), cols = RoundUp(g.dim, W), ld = g.padded_dim;
    Begin<W>(tile, x->q, rows, s);
    const int64_t end = tile.LastKey(tile.count - 1) + 1;
    // Key tiles end at multiples of their size, also in a window: so a query's sums do not depend
    // on which queries are computed with it. Keys before the first visible one may be gone.
    int64_t n = 0;
    for (int64_t first = tile.FirstKey(0); first < end; first += n) {
      n = std::min(RoundedDown(first, kTileKeys) + kTileKeys, end) - first;
      const KeyOffsets at(g, *tile.run, tile.kv_head, first, n);
      const KeyRows k = ReadKeys<W>(g, static_cast<const T*>(x->keys), at, s.keys);
      const KeyRows v = ReadKeys<W>(g, static_cast<const T*>(x->values), at, s.values);
      CallSimd<TileProduct<false>, W>(n, rows, g.dim, TileA{k.data, k.row, 1},
                                      TileB{s.queries, rows}, TileC{s.scores, rows});
      CapScores<W>(g, s.scores, n * rows);
      Softmax<W>(s, rows, first, n, tile.SeesAll(first, first + n));
      for (int64_t r = 0; r < tile.rows(); ++r) {
        if (s.factor[r] == 1) continue;
        for (int64_t d = 0; d < cols; d += W) {
          Store<W>(s.out + r * ld + d, Load<W>(s.out + r * ld + d) * s.factor[r]);
        }
      }
      CallSimd<TileProduct<true>, W>(tile.rows(), cols, n, TileA{s.scores, 1, rows},
                                     TileB{v.data, v.row}, TileC{s.out, ld});
    }
    for (int64_t r = 0; r < tile.rows(); ++r) {
      float* out = x->out + tile.Offset(r);
      const float inverse = 1 / s.sum[r];
      for (int64_t d = 0; d < g.dim; ++d) out[d] = s.out[r * ld + d] * inverse;
      x->log_sum[tile.StatOffset(r)] = s.most[r] + std::log(s.sum[r]);
    }
  }
};

// Piece number `piece`. The last tiles of a run come first: they have the most keys, so the longest
// pieces start first.
QueryTile TileOfPiece(const AttentionGeometry& g, int64_t piece) {
  for (const AttentionRun& run : g.layout->runs) {
    const int64_t tiles = g.Tiles(run), here = tiles * g.kv_heads;
    if (piece < here) {
      const int64_t begin = (tiles - 1 - piece / g.kv_heads) * g.tile_queries;
      return {&g, &run, piece % g.kv_heads, begin, std::min(g.tile_queries, run.queries - begin)};
    }
    piece -= here;
  }
  RETORT_CHECK(false, "piece ", piece, " is beyond the runs");
}

template <class T>
void RunForward(ThreadPool& pool, Isa isa, Memory& memory, const AttentionGeometry& g,
                const ForwardTensors& x) {
  DecodeForward<T>(pool, isa, memory, g, x);
  int64_t pieces = 0;
  for (const AttentionRun& run : g.layout->runs) pieces += g.Tiles(run) * g.kv_heads;
  if (pieces == 0) return;
  const int64_t floats = ForwardSpace::Floats(g);
  const Tensor space = Tensor::Make(memory, {pool.threads(), floats}, DType::kF32);
  const auto piece = [&](int64_t p, int worker) {
    const QueryTile tile = TileOfPiece(g, p);
    const ForwardSpace s(g, space.data<float>() + worker * floats);
    CallSimd<ForwardTile<T>>(isa, &tile, &x, &s);
  };
  pool.For(pieces, std::cref(piece));
}

}  // namespace

void CpuBackend::Attention(const AttentionShape& shape, const AttentionPlan& plan, const Tensor& q,
                           const Tensor& keys, const Tensor& values, Tensor& out, Tensor& log_sum) {
  const HostPlan& host = HostPlan::Of(plan);
  host.Check(shape, q, keys, values);
  RETORT_CHECK(out.elements() == q.elements() && log_sum.elements() == q.rows() * shape.heads);
  const AttentionGeometry g(shape, host.layout(), keys.shape());
  const ForwardTensors x{q.data<float>(), keys.raw(), values.raw(), out.data<float>(),
                         log_sum.data<float>()};
  switch (keys.dtype()) {
    case DType::kF32:
      return RunForward<float>(pool_, isa_, *memory_, g, x);
    case DType::kF16:
      return RunForward<F16>(pool_, isa_, *memory_, g, x);
    case DType::kBF16:
      return RunForward<BF16>(pool_, isa_, *memory_, g, x);
    default:
      RETORT_CHECK(false, "keys of ", NameOf(keys.dtype()));
  }
}

}  // namespace retort
