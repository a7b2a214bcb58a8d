// SPDX-License-Identifier: Apache-2.0
// Attention of one query: dot products along D with the heads of a group, so that every key and
// value is read from memory once and in order.
#pragma once

#include <cmath>
#include <limits>
#include <utility>

#include "tensor/cpu/attention.h"

namespace retort {

struct DecodeSpace {
  float* queries;  // [group, D], scaled, padded with zeros
  float* out;      // [group, D]
  float* scores;   // [group, kTileKeys]
  float *most, *sum;  // [group]

  static int64_t Floats(const AttentionGeometry& g) {
    return g.group * (2 * g.padded_dim + kTileKeys + 2);
  }
  DecodeSpace(const AttentionGeometry& g, float* at) {
    const auto take = [&](int64_t n) { return std::exchange(at, at + n); };
    queries = take(g.group * g.padded_dim);
    out = take(g.group * g.padded_dim);
    scores = take(g.group * kTileKeys);
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

template <class T> struct DecodeTile {
  // scores[h, k] = queries[h] . key k, for kHeads heads at a time.
  template <int W, int kHeads>
  RETORT_INLINE static void Dots(const AttentionGeometry& g, const T* key, const float* queries, float* scores) {
    Floats<W> sum[kHeads] = {};
    int64_t d = 0;
    for (; d + W <= g.dim; d += W) {
      const Floats<W> k = Load<W>(key + d);
      for (int h = 0; h < kHeads; ++h) sum[h] += k * Load<W>(queries + h * g.padded_dim + d);
    }
    if (d < g.dim) {
      const Floats<W> k = Load<W>(key + d, FirstLanes{g.dim - d});
      for (int h = 0; h < kHeads; ++h) sum[h] += k * Load<W>(queries + h * g.padded_dim + d);
    }
    for (int h = 0; h < kHeads; ++h) scores[h * kTileKeys] = Sum<W>(sum[h]);
  }

  template <int W>
  RETORT_INLINE static void Scores(const AttentionGeometry& g, const T* keys, const KeyOffsets& at, const DecodeSpace& s) {
    for (int64_t k = 0; k < at.count; ++k) {
      int64_t h = 0;
      for (; h + 4 <= g.group; h += 4) {
        Dots<W, 4>(g, keys + at.at[k], s.queries + h * g.padded_dim, s.scores + h * kTileKeys + k);
      }
      for (; h < g.group; ++h) {
        Dots<W, 1>(g, keys + at.at[k], s.queries + h * g.padded_dim, s.scores + h * kTileKeys + k);
      }
    }
  }

  // The running softmax of one head: returns what earlier sums are multiplied by. The scores' end
  // is filled up with zeros once they are exponentials.
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

  // out = out * factor + sum_k p[k] value k, over kVectors vectors of columns.
  template <int W, int kVectors>
  RETORT_INLINE static void Mix(const T* values, const KeyOffsets& at, const float* p, float factor, float* out) {
    Floats<W> sum[kVectors];
    for (int j = 0; j < kVectors; ++j) sum[j] = Load<W>(out + j * W) * factor;
    for (int64_t k = 0; k < at.count; ++k) {
      for (int j = 0; j < kVectors; ++j) sum[j] += p[k] * Load<W>(values + at.at[k] + j * W);
    }
    for (int j = 0; j < kVectors; ++j) Store<W>(out + j * W, sum[j]);
  }

  template <int W>
  RETORT_INLINE static void MixHead(const AttentionGeometry& g, const T* values, const KeyOffsets& at,
                                    const float* p, float factor, float* out) {
    int64_t d = 0;
    for (; d + 4 * W <= g.dim; d += 4 * W) Mix<W, 4>(values + d, at, p, factor, out + d);
    for (; d + W <= g.dim; d += W) Mix<W, 1>(values + d, at, p, factor, out + d);
    if (d == g.dim) return;
    Floats<W> sum = Load<W>(out + d) * factor;
    for (int64_t k = 0; k < at.count; ++k) sum += p[k] * Load<W>(values + at.at[k] + d, FirstLanes{g.dim - d});
    Store<W>(out + d, sum);
  }

  template <int W>
  RETORT_INLINE static void Run(const QueryTile* tile, const DecodeTensors* x, const DecodeSpace* space) {
    const AttentionGeometry& g = *tile->geometry;
    const DecodeSpace& s = *space;
    std::fill(s.queries, s.queries + 2 * g.group * g.padded_dim, 0.0f);  // and out
    for (int64_t h = 0; h < g.group; ++h) {
      for (int64_t d = 0; d < g.dim; ++d) s.queries[h * g.padded_dim + d] = x->q[h * g.dim + d] * g.scale;
      s.most[h] = -std::numeric_limits<float>::infinity();
      s.sum[h] = 0;
    }
    const int64_t end = tile->LastKey(0) + 1;
    for (int64_t first = tile->FirstKey(0); first < end; first += kTileKeys) {
      const KeyOffsets at(g, *tile->run, tile->kv_head, first, std::min(kTileKeys, end - first));
      Scores<W>(g, static_cast<const T*>(x->keys), at, s);
      for (int64_t h = 0; h < g.group; ++h) {
        float* p = s.scores + h * kTileKeys;
        const float factor = Softmax<W>(p, at.count, s.most + h, s.sum + h);
        MixHead<W>(g, static_cast<const T*>(x->values), at, p, factor, s.out + h * g.padded_dim);
      }
    }
    for (int64_t h = 0; h < g.group; ++h) {
      const float inverse = 1 / s.sum[h];
      for (int64_t d = 0; d < g.dim; ++d) x->out[h * g.dim + d] = s.out[h * g.padded_dim + d] * inverse;
      x->log_sum[h] = s.most[h] + std::log(s.sum[h]);
    }
  }
};

}  // namespace retort
