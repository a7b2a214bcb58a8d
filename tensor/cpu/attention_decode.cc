// SPDX-License-Identifier: Apache-2.0
// Attention of runs of one query. All heads of a group process a few keys or values at a time, so
// that each is read once, without copying. A run's keys are split into parts of kPartKeys, which
// are separate pieces of work; their sums are merged at the end (Dao, Haziza, Massa and Sizov,
// "Flash-Decoding", 2023).
#include <cmath>

#include "tensor/cpu/attention.h"
#include "tensor/cpu/loops.h"

namespace retort {
namespace {

constexpr int64_t kPartKeys = 256;

// Keys [first, first + count) of a run's query, for the heads of one group.
struct DecodePart {
  const AttentionGeometry* geometry;
  const AttentionRun* run;
  int64_t kv_head, first, count;

  // For each block with keys of the part: body(index in the part of the block's first key, number
  // of keys, that key's offset in elements, the next block's offset).
  template <class Body>
  RETORT_INLINE void ForBlocks(const Body& body) const {
    const int64_t block = geometry->layout->block_size;
    for (int64_t k = 0, at = Offset(0); k < count;) {
      const int64_t keys = std::min(count - k, block - (first + k) % block);
      const int64_t next = k + keys < count ? Offset(k + keys) : at;
      body(k, keys, at, next);
      k += keys, at = next;
    }
  }
  int64_t Offset(int64_t k) const {
    const AttentionLayout& layout = *geometry->layout;
    const int64_t key = first + k, block = run->first_block + key / layout.block_size;
    return geometry->BlockOffset(layout.block_rows[static_cast<size_t>(block)], kv_head) +
           key % layout.block_size * geometry->key_row;
  }
};

// The results of a part, for each head of the group.
struct DecodeSums {
  float* out;         // [group, D]: the sum of exp(score - most) * value
  float *most, *sum;  // [group]: the largest score, and the sum of exp(score - most)

  static int64_t Floats(const AttentionGeometry& g) { return g.group * (g.padded_dim + 2); }
  DecodeSums(const AttentionGeometry& g, float* at)
      : out(at), most(at + g.group * g.padded_dim), sum(most + g.group) {}
};

// One worker's buffers.
struct DecodeSpace {
  static constexpr int64_t kScoresRow = kPartKeys + 16;
  float* queries;  // [group, D], scaled, padded with zeros
  float* scores;   // [group, kScoresRow]

  static int64_t Floats(const AttentionGeometry& g) {
    return g.group * (g.padded_dim + kScoresRow);
  }
  DecodeSpace(const AttentionGeometry& g, float* at)
      : queries(at), scores(at + g.group * g.padded_dim) {}
};

template <class T>
struct DecodeKernel {
  RETORT_INLINE static void Fetch(const T* row, int64_t dim) {
    for (int64_t d = 0; d < dim; d += static_cast<int64_t>(64 / sizeof(T)))
      __builtin_prefetch(row + d);
  }

  // scores[h,k] = query[h] . key[k], for kHeads heads and W / kHeads keys at a time, so that each
  // lane of a vector receives one sum. Prefetches the next block's keys, and the values, which are
  // read after all keys.
  template <int W, int kHeads>
  RETORT_INLINE static void Scores(const DecodePart& part, const T* keys, const T* values,
                                   const float* queries, float* scores) {
    constexpr int kKeys = W / kHeads;
    const AttentionGeometry& g = *part.geometry;
    const int64_t dim = g.dim, key_row = g.key_row, query_row = g.padded_dim;
    part.ForBlocks([&](int64_t first, int64_t count, int64_t at, int64_t next) {
      for (int64_t k = 0; k < count; k += kKeys) {
        const T* row[kKeys];
        for (int i = 0; i < kKeys; ++i) {
          const int64_t key = std::min(k + i, count - 1);
          row[i] = keys + at + key * key_row;
          Fetch(keys + next + key * key_row, dim);
          Fetch(values + at + key * key_row, dim);
        }
        Floats<W> sum[W];
        for (int i = 0; i < W; ++i) sum[i] = Floats<W>{};  // `= {}` is compiled to stores in memory
        const auto add = [&](int64_t d, auto lanes) {
          for (int i = 0; i < kKeys; ++i) {
            const Floats<W> key = Load<W>(row[i] + d, lanes);
            for (int h = 0; h < kHeads; ++h)
              sum[h * kKeys + i] += key * Load<W>(queries + h * query_row + d);
          }
        };
        int64_t d = 0;
        for (; d + W <= dim; d += W) add(d, AllLanes{});
        if (d < dim) add(d, FirstLanes{dim - d});
        float each[W];
        Store<W>(each, SumEach<W>(sum));
        for (int h = 0; h < kHeads; ++h) {
          std::memcpy(scores + h * DecodeSpace::kScoresRow + first + k, each + h * kKeys,
                      kKeys * sizeof(float));
        }
      }
    });
  }

  // scores become exp(score - most), 0 beyond the n keys.
  template <int W>
  RETORT_INLINE static void Softmax(float* scores, int64_t n, float* most, float* sum) {
    const int64_t whole = RoundUp(n, W);
    for (int64_t k = n; k < whole; ++k) scores[k] = kMinusInfinity;
    Floats<W> best = Splat<W>(kMinusInfinity), total = {};
    for (int64_t k = 0; k < whole; k += W) best = Max<W>(Load<W>(scores + k), best);
    *most = MaxLane<W>(best);
    for (int64_t k = 0; k < whole; k += W) {
      const Floats<W> e = Exp<W>(Load<W>(scores + k) - *most);
      Store<W>(scores + k, e);
      total += e;
    }
    *sum = Sum<W>(total);
  }

  // out[h] = sum_k p[h,k] value[k], for kVectors vectors of columns, or for `lanes` of a single
  // one.
  template <int W, int kHeads, int kVectors, class Lanes>
  RETORT_INLINE static void MixColumns(const DecodePart& part, const T* values, const float* p,
                                       Lanes lanes, float* out) {
    const int64_t value_row = part.geometry->key_row, out_row = part.geometry->padded_dim;
    Floats<W> sum[kHeads][kVectors];
    for (int h = 0; h < kHeads; ++h) {
      for (int j = 0; j < kVectors; ++j) sum[h][j] = Floats<W>{};
    }
    part.ForBlocks([&](int64_t first, int64_t count, int64_t at, int64_t) {
      const T* row = values + at;
      for (int64_t k = 0; k < count; ++k, row += value_row) {
        for (int j = 0; j < kVectors; ++j) {
          const Floats<W> value = Load<W>(row + j * W, lanes);
          for (int h = 0; h < kHeads; ++h)
            sum[h][j] += p[h * DecodeSpace::kScoresRow + first + k] * value;
        }
      }
    });
    for (int h = 0; h < kHeads; ++h) {
      for (int j = 0; j < kVectors; ++j) Store<W>(out + h * out_row + j * W, sum[h][j]);
    }
  }
  template <int W, int kHeads>
  RETORT_INLINE static void Mix(const DecodePart& part, const T* values, const float* p,
                                float* out) {
    constexpr int kVectors = W == 16 ? 4 : 2;  // the sums fit in registers
    const int64_t dim = part.geometry->dim;
    int64_t d = 0;
    for (; d + kVectors * W <= dim; d += kVectors * W) {
      MixColumns<W, kHeads, kVectors>(part, values + d, p, AllLanes{}, out + d);
    }
    for (; d + W <= dim; d += W) MixColumns<W, kHeads, 1>(part, values + d, p, AllLanes{}, out + d);
    if (d < dim) MixColumns<W, kHeads, 1>(part, values + d, p, FirstLanes{dim - d}, out + d);
  }

  template <int W, int kHeads>
  RETORT_INLINE static void Heads(const DecodePart& part, int64_t head, const T* keys,
                                  const T* values, const DecodeSpace& s, const DecodeSums& sums) {
    const int64_t row = part.geometry->padded_dim;
    float* scores = s.scores + head * DecodeSpace::kScoresRow;
    Scores<W, kHeads>(part, keys, values, s.queries + head * row, scores);
    for (int h = 0; h < kHeads; ++h) {
      float* of_head = scores + h * DecodeSpace::kScoresRow;
      CapScores<W>(*part.geometry, of_head, part.count);
      Softmax<W>(of_head, part.count, sums.most + head + h, sums.sum + head + h);
    }
    Mix<W, kHeads>(part, values, scores, sums.out + head * row);
  }

  // q points to the group's first head.
  template <int W>
  RETORT_INLINE static void Run(const DecodePart* part, const float* q, const T* keys,
                                const T* values, const DecodeSpace* space, const DecodeSums* sums) {
    const AttentionGeometry& g = *part->geometry;
    std::fill(space->queries, space->queries + g.group * g.padded_dim, 0.0f);
    for (int64_t h = 0; h < g.group; ++h)
      CopyRow<W>(q + h * g.dim, g.dim, g.scale, space->queries + h * g.padded_dim);
    int64_t h = 0;
    for (; h + 4 <= g.group; h += 4) Heads<W, 4>(*part, h, keys, values, *space, *sums);
    for (; h + 2 <= g.group; h += 2) Heads<W, 2>(*part, h, keys, values, *space, *sums);
    for (; h < g.group; ++h) Heads<W, 1>(*part, h, keys, values, *space, *sums);
  }
};

// Computes out and log_sum (pointers to the group's first head) from the sums of `parts`
// consecutive parts.
struct MergeParts {
  struct Weighted {
    const float* from;
    float factor;
    float* to;
    bool first;
    template <int W, class Lanes>
    RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
      const Floats<W> term = Load<W>(from + i, lanes) * factor;
      Store<W>(to + i, first ? term : Load<W>(to + i, lanes) + term, lanes);
    }
  };
  template <int W>
  RETORT_INLINE static void Run(const AttentionGeometry* geometry, float* at, int64_t parts,
                                float* out, float* log_sum) {
    const AttentionGeometry& g = *geometry;
    for (int64_t h = 0; h < g.group; ++h) {
      const auto sums = [&](int64_t part) {
        return DecodeSums(g, at + part * DecodeSums::Floats(g));
      };
      float most = sums(0).most[h], sum = 0;
      for (int64_t i = 1; i < parts; ++i) most = std::max(most, sums(i).most[h]);
      for (int64_t i = 0; i < parts; ++i) sum += sums(i).sum[h] * std::exp(sums(i).most[h] - most);
      for (int64_t i = 0; i < parts; ++i) {
        const DecodeSums part = sums(i);
        ForLanes<W>(Weighted{part.out + h * g.padded_dim, std::exp(part.most[h] - most) / sum,
                             out + h * g.dim, i == 0},
                    0, g.dim);
      }
      log_sum[h] = most + std::log(sum);
    }
  }
};

// The part that a piece of work computes, and the number of parts per key head of its run. Pieces
// are ordered by run, then by head.
struct PartOfPiece {
  QueryTile query;  // the run's only one
  DecodePart part;
  int64_t index = 0, parts = 0;

  PartOfPiece(const AttentionGeometry& g, int64_t piece) {
    for (const AttentionRun& run : g.layout->runs) {
      parts = Parts(g, run);
      if (piece >= parts * g.kv_heads) {
        piece -= parts * g.kv_heads;
        continue;
      }
      query = {&g, &run, piece / parts, 0, 1};
      index = piece % parts;
      const int64_t first = query.FirstKey(0) + index * kPartKeys;
      part = {&g, &run, query.kv_head, first, std::min(kPartKeys, query.LastKey(0) + 1 - first)};
      return;
    }
    RETORT_CHECK(false, "piece ", piece, " is beyond the runs");
  }
  static int64_t Parts(const AttentionGeometry& g, const AttentionRun& run) {
    if (run.queries != 1) return 0;
    const QueryTile query{&g, &run, 0, 0, 1};
    return (query.LastKey(0) - query.FirstKey(0)) / kPartKeys + 1;
  }
};

}  // namespace

template <class T>
void DecodeForward(ThreadPool& pool, Isa isa, Memory& memory, const AttentionGeometry& g,
                   const ForwardTensors& x) {
  int64_t pieces = 0, most_parts = 0;
  for (const AttentionRun& run : g.layout->runs) {
    const int64_t parts = PartOfPiece::Parts(g, run);
    pieces += parts * g.kv_heads;
    most_parts = std::max(most_parts, parts);
  }
  if (pieces == 0) return;
  const int64_t per_worker = DecodeSpace::Floats(g), per_piece = DecodeSums::Floats(g);
  const Tensor space =
      Tensor::Make(memory, {pool.threads() * per_worker + pieces * per_piece}, DType::kF32);
  float* sums = space.data<float>() + pool.threads() * per_worker;
  const auto merge = [&](const PartOfPiece& p, int64_t piece) {
    CallSimd<MergeParts>(isa, &g, sums + piece * per_piece, p.parts, x.out + p.query.Offset(0),
                         x.log_sum + p.query.StatOffset(0));
  };
  const auto attend = [&](int64_t piece, int worker) {
    const PartOfPiece p(g, piece);
    const DecodeSpace mine(g, space.data<float>() + worker * per_worker);
    const DecodeSums to(g, sums + piece * per_piece);
    CallSimd<DecodeKernel<T>>(isa, &p.part, x.q + p.query.Offset(0), static_cast<const T*>(x.keys),
                              static_cast<const T*>(x.values), &mine, &to);
    if (p.parts == 1) merge(p, piece);
  };
  pool.For(pieces, std::cref(attend));
  if (most_parts == 1) return;
  const auto put_together = [&](int64_t piece, int) {
    const PartOfPiece p(g, piece);
    if (p.parts > 1 && p.index == 0) merge(p, piece);
  };
  pool.For(pieces, std::cref(put_together));
}

template void DecodeForward<float>(ThreadPool&, Isa, Memory&, const AttentionGeometry&,
                                   const ForwardTensors&);
template void DecodeForward<F16>(ThreadPool&, Isa, Memory&, const AttentionGeometry&,
                                 const ForwardTensors&);
template void DecodeForward<BF16>(ThreadPool&, Isa, Memory&, const AttentionGeometry&,
                                  const ForwardTensors&);

}  // namespace retort
