// SPDX-License-Identifier: Apache-2.0
// A few rows times a weight: bound by how fast the weight streams in, so each piece of a weight
// row is decoded into the L1 and multiplied at once.
#include <algorithm>

#include "tensor/cpu/products.h"
#include "tensor/quant/decode.h"

namespace retort {
namespace {

constexpr int64_t kChunk = 1024;  // weights decoded at a time

constexpr int64_t kRowsAtOnce = 4;  // whose sums fit into registers

// sums[t] += the dot product of w and row t of x, for at most kRowsAtOnce rows.
struct DotsKernel {
  template <int W, int T>
  RETORT_INLINE static void Rows(const float* w, const float* x, int64_t stride, int64_t n,
                                 float* sums) {
    constexpr int kUnroll = T == 1 ? 4 : 2;
    Floats<W> sum[T][kUnroll] = {};
    int64_t i = 0;
    for (; i + kUnroll * W <= n; i += kUnroll * W) {
      for (int u = 0; u < kUnroll; ++u) {
        const Floats<W> weight = Load<W>(w + i + u * W);
        for (int t = 0; t < T; ++t) sum[t][u] += weight * Load<W>(x + t * stride + i + u * W);
      }
    }
    for (; i < n; i += W) {
      const FirstLanes lanes{std::min<int64_t>(W, n - i)};
      const Floats<W> weight = Load<W>(w + i, lanes);
      for (int t = 0; t < T; ++t) sum[t][0] += weight * Load<W>(x + t * stride + i, lanes);
    }
    for (int t = 0; t < T; ++t) {
      for (int u = 1; u < kUnroll; ++u) sum[t][0] += sum[t][u];
      sums[t] += Sum<W>(sum[t][0]);
    }
  }
  template <int W>
  RETORT_INLINE static void Run(const float* w, const float* x, int64_t stride, int64_t rows,
                                int64_t n, float* sums) {
    switch (rows) {
      case 1: return Rows<W, 1>(w, x, stride, n, sums);
      case 2: return Rows<W, 2>(w, x, stride, n, sums);
      case 3: return Rows<W, 3>(w, x, stride, n, sums);
      case 4: return Rows<W, 4>(w, x, stride, n, sums);
    }
  }
};

}  // namespace

void VectorForward(ThreadPool& pool, Isa isa, const float* x, int64_t rows,
                   std::span<LinearProduct> products) {
  RETORT_CHECK(rows <= kVectorRows);
  const int64_t cols = products[0].w->cols();
  const int64_t grain = std::clamp<int64_t>((1 << 15) / std::max<int64_t>(1, cols), 1, 64);
  int64_t pieces = 0, outputs = 0;
  for (const LinearProduct& p : products) {
    pieces += CeilDiv(p.w->rows(), grain);
    outputs += p.w->rows();
  }
  const double operations = 2.0 * static_cast<double>(rows * cols) * static_cast<double>(outputs);
  ForPieces(pool, operations, pieces, [&](int64_t piece, int) {
    const LinearProduct* p = products.data();
    for (; piece >= CeilDiv(p->w->rows(), grain); ++p) piece -= CeilDiv(p->w->rows(), grain);
    const Weight& w = *p->w;
    float* y = p->y.data<float>();
    alignas(64) float decoded[kChunk];
    for (int64_t o = piece * grain; o < std::min(w.rows(), (piece + 1) * grain); ++o) {
      float sums[kVectorRows] = {};
      for (int64_t k = 0; k < cols; k += kChunk) {
        const int64_t n = std::min(kChunk, cols - k);
        const float* values = decoded;
        if (w.format() == WeightFormat::kF32) {
          values = reinterpret_cast<const float*>(w.bytes().data()) + o * cols + k;
        } else {
          DecodeRow(isa, w, o, k, n, decoded);
        }
        for (int64_t t = 0; t < rows; t += kRowsAtOnce) {
          CallSimd<DotsKernel>(isa, values, x + t * cols + k, cols, std::min(kRowsAtOnce, rows - t),
                               n, static_cast<float*>(sums + t));
        }
      }
      for (int64_t t = 0; t < rows; ++t) y[t * w.rows() + o] = sums[t];
    }
  });
}

}  // namespace retort
