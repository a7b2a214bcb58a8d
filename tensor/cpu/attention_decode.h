// SPDX-License-Identifier: Apache-2.0
// Attention of one query: dot products along D. All heads of a group work on a tile of keys while
// it is in the caches, so that every key and value is read from memory once.
#pragma once

#include <cmath>
#include <limits>
#include <utility>

#include "tensor/cpu/attention.h"

namespace retort {

struct DecodeSpace {
  float* queries;        // [group, D], scaled, padded with zeros
  float* out;            // [group, D]
  float *keys, *values;  // [kTileKeys, D]
  float* scores;         // [kTileKeys]
  float *most, *sum;     // [group]

  static int64_t Floats(const AttentionGeometry& g) {
    return g.group * (2 * g.padded_dim + 2) + kTileKeys * (2 * g.padded_dim + 1);
  }
  DecodeSpace(const AttentionGeometry& g, float* at) {
    const auto take = [&](int64_t n) { return std::exchange(at, at + n); };
    queries = take(g.group * g.padded_dim);
    out = take(g.group * g.padded_dim);
    keys = take(kTileKeys * g.padded_dim);
    values = take(kTileKeys * g.padded_dim);
    scores = take(kTileKeys);
    most = take(g.group);
    sum = take(g.group);
  }
};

// Already at the group's first head: q, out [group, D]; log_sum [group].
struct DecodeTensors {
  const float* q;
  const void *keys, *values;
  float *out, *log_sum;
};

template <class T>
struct DecodeTile {
  // Rows of D floats, padded with zeros to whole vectors: in the tensor, else in `copy`.
  template <int W>
  RETORT_INLINE static void Rows(const AttentionGeometry& g, const T* base, const KeyOffsets& at,
                                 float* copy, const float** rows) {
    const bool as_it_lies = std::is_same_v<T, float> && g.dim % W == 0;
    for (int64_t k = 0; k < at.count; ++k) {
      rows[k] = copy + k * g.padded_dim;
      if (as_it_lies) {
        rows[k] = reinterpret_cast<const float*>(base + at.at[k]);
      } else {
        CopyRow<W>(base + at.at[k], g.dim, 1, copy + k * g.padded_dim);
      }
    }
  }

  // Asks for a tile's rows before they are needed: pieces of rows that lie apart, which the
  // processor does not foresee.
  RETORT_INLINE static void Fetch(const AttentionGeometry& g, const DecodeTensors& x,
                                  const KeyOffsets& at) {
    constexpr int64_t kLine = 64 / sizeof(T);
    for (int64_t k = 0; k < at.count; ++k) {
      for (int64_t d = 0; d < g.dim; d += kLine) {
        __builtin_prefetch(static_cast<const T*>(x.keys) + at.at[k] + d, 0, 2);
        __builtin_prefetch(static_cast<const T*>(x.values) + at.at[k] + d, 0, 2);
      }
    }
  }

  // scores[k] = query . keys[k], W keys at a time; those beyond count repeat the last.
  template <int W>
  RETORT_INLINE static void Scores(const float* query, int64_t cols, const float* const* keys,
                                   int64_t count, float* scores) {
    for (int64_t k = 0; k < count; k += W) {
      Floats<W> sum[W] = {};
      const float* row[W];
      for (int64_t i = 0; i < W; ++i) row[i] = keys[std::min(k + i, count - 1)];
      for (int64_t d = 0; d < cols; d += W) {
        const Floats<W> q = Load<W>(query + d);
        for (int i = 0; i < W; ++i) sum[i] += q * Load<W>(row[i] + d);
      }
      Store<W>(scores + k, SumEach<W>(sum));
    }
  }

  // The running softmax of one head: scores become exp(score - most), 0 beyond the n keys; returns
  // what earlier sums are multiplied by.
  template <int W>
  RETORT_INLINE static float Softmax(float* scores, int64_t n, float* most, float* sum) {
    constexpr float kLowest = -std::numeric_limits<float>::infinity();
    const int64_t whole = RoundedUp(n, W);
    for (int64_t k = n; k < whole; ++k) scores[k] = kLowest;
    Floats<W> best = Splat<W>(*most);
    for (int64_t k = 0; k < whole; k += W) best = Max<W>(Load<W>(scores + k), best);
    const float before = *most;
    *most = MaxLane<W>(best);
    Floats<W> total = {};
    for (int64_t k = 0; k < whole; k += W) {
      const Floats<W> e = Exp<W>(Load<W>(scores + k) - *most);
      Store<W>(scores + k, e);
      total += e;
    }
    const float factor = std::exp(before - *most);
    *sum = *sum * factor + Sum<W>(total);
    return factor;
  }

  // out = out * factor + sum_k p[k] values[k], over kVectors vectors of columns.
  template <int W, int kVectors>
  RETORT_INLINE static void Mix(const float* const* values, int64_t col, int64_t count,
                                const float* p, float factor, float* out) {
    Floats<W> sum[kVectors];
    for (int j = 0; j < kVectors; ++j) sum[j] = Load<W>(out + col + j * W) * factor;
    for (int64_t k = 0; k < count; ++k) {
      for (int j = 0; j < kVectors; ++j) sum[j] += p[k] * Load<W>(values[k] + col + j * W);
    }
    for (int j = 0; j < kVectors; ++j) Store<W>(out + col + j * W, sum[j]);
  }

  template <int W>
  RETORT_INLINE static void Run(const QueryTile* tile, const DecodeTensors* x,
                                const DecodeSpace* space) {
    const AttentionGeometry& g = *tile->geometry;
    const DecodeSpace& s = *space;
    std::fill(s.queries, s.queries + 2 * g.group * g.padded_dim, 0.0f);  // and out
    for (int64_t h = 0; h < g.group; ++h) {
      CopyRow<W>(x->q + h * g.dim, g.dim, g.scale, s.queries + h * g.padded_dim);
      s.most[h] = -std::numeric_limits<float>::infinity();
      s.sum[h] = 0;
    }
    const int64_t end = tile->LastKey(0) + 1, cols = RoundedUp(g.dim, W);
    const auto offsets = [&](int64_t first) {
      return KeyOffsets(g, *tile->run, tile->kv_head, first, std::min(kTileKeys, end - first));
    };
    KeyOffsets next = offsets(tile->FirstKey(0));
    Fetch(g, *x, next);
    for (int64_t first = tile->FirstKey(0); first < end; first += kTileKeys) {
      const KeyOffsets at = next;
      const int64_t n = at.count;
      if (first + kTileKeys < end) {
        next = offsets(first + kTileKeys);
        Fetch(g, *x, next);
      }
      const float *keys[kTileKeys], *values[kTileKeys];
      Rows<W>(g, static_cast<const T*>(x->keys), at, s.keys, keys);
      Rows<W>(g, static_cast<const T*>(x->values), at, s.values, values);
      for (int64_t h = 0; h < g.group; ++h) {
        float *p = s.scores, *out = s.out + h * g.padded_dim;
        Scores<W>(s.queries + h * g.padded_dim, cols, keys, n, p);
        const float factor = Softmax<W>(p, n, s.most + h, s.sum + h);
        int64_t d = 0;
        for (; d + 4 * W <= cols; d += 4 * W) Mix<W, 4>(values, d, n, p, factor, out);
        for (; d < cols; d += W) Mix<W, 1>(values, d, n, p, factor, out);
      }
    }
    for (int64_t h = 0; h < g.group; ++h) {
      const float inverse = 1 / s.sum[h];
      for (int64_t d = 0; d < g.dim; ++d)
        x->out[h * g.dim + d] = s.out[h * g.padded_dim + d] * inverse;
      x->log_sum[h] = s.most[h] + std::log(s.sum[h]);
    }
  }
};

}  // namespace retort
