// SPDX-License-Identifier: Apache-2.0
// Products of a few rows with a weight, limited by the bandwidth of reading the weight. f32, f16
// and bf16 are converted as they are loaded; other formats are decoded to a buffer in the L1,
// kChunk values at a time. The order of a row's sum does not depend on the number of rows.
#include <algorithm>

#include "tensor/cpu/fetch.h"
#include "tensor/cpu/products.h"
#include "tensor/quant/decode.h"

namespace retort {
namespace {

constexpr int64_t kChunk = 1024;  // values of a weight row that are multiplied by all rows of x

// sums[t] += the dot product of w and row t of x. kFetch: prefetch w, which is read from memory.
template <class T, bool kFetch>
struct DotsKernel {
  template <int W, int kRows>
  RETORT_INLINE static void Rows(const T* w, const float* x, int64_t stride, int64_t n,
                                 float* sums) {
    constexpr int kUnroll = 4;
    Floats<W> sum[kRows][kUnroll] = {};
    int64_t i = 0;
    for (; i + kUnroll * W <= n; i += kUnroll * W) {
      if constexpr (kFetch) FetchAhead<kUnroll * W * int64_t{sizeof(T)}>(w + i);
      for (int u = 0; u < kUnroll; ++u) {
        const Floats<W> weight = Load<W>(w + i + u * W);
        for (int t = 0; t < kRows; ++t) sum[t][u] += weight * Load<W>(x + t * stride + i + u * W);
      }
    }
    for (; i < n; i += W) {
      const FirstLanes lanes{std::min<int64_t>(W, n - i)};
      const Floats<W> weight = Load<W>(w + i, lanes);
      for (int t = 0; t < kRows; ++t) sum[t][0] += weight * Load<W>(x + t * stride + i, lanes);
    }
    for (int t = 0; t < kRows; ++t) {
      for (int u = 1; u < kUnroll; ++u) sum[t][0] += sum[t][u];
      sums[t] += Sum<W>(sum[t][0]);
    }
  }
  template <int W>
  RETORT_INLINE static void Run(const T* w, const float* x, int64_t stride, int64_t rows, int64_t n,
                                float* sums) {
    constexpr int kAtOnce = W == 16 ? 4 : 2;  // their sums fit in registers
    int64_t t = 0;
    for (; t + kAtOnce <= rows; t += kAtOnce)
      Rows<W, kAtOnce>(w, x + t * stride, stride, n, sums + t);
    switch (rows - t) {
      case 1:
        return Rows<W, 1>(w, x + t * stride, stride, n, sums + t);
      case 2:
        return Rows<W, 2>(w, x + t * stride, stride, n, sums + t);
      case 3:
        return Rows<W, 3>(w, x + t * stride, stride, n, sums + t);
    }
  }
};

// x [rows,cols] in the form that the products use.
struct FewRows {
  Isa isa;
  const float* x;
  int64_t rows, cols;

  // sums[t] += the dot products of weights [k, k + n) of a row, for all rows of x.
  template <bool kFetch, class T>
  void AddDots(const T* w, int64_t k, int64_t n, float* sums) const {
    CallSimd<DotsKernel<T, kFetch>>(isa, w, x + k, cols, rows, n, sums);
  }
  template <class T>
  void Floats(const Weight& w, int64_t o, float* sums) const {
    const T* row = reinterpret_cast<const T*>(w.bytes().data()) + o * cols;
    for (int64_t k = 0; k < cols; k += kChunk)
      AddDots<true>(row + k, k, std::min(kChunk, cols - k), sums);
  }
  void Decoded(const Weight& w, int64_t o, float* sums) const {
    alignas(64) float decoded[kChunk];
    for (int64_t k = 0; k < cols; k += kChunk) {
      const int64_t n = std::min(kChunk, cols - k);
      DecodeRow(isa, w, o, k, n, decoded);
      AddDots<false>(static_cast<const float*>(decoded), k, n, sums);
    }
  }
  void Output(const Weight& w, int64_t o, float* sums) const {
    switch (w.format()) {
      case WeightFormat::kF32:
        return Floats<float>(w, o, sums);
      case WeightFormat::kF16:
        return Floats<F16>(w, o, sums);
      case WeightFormat::kBF16:
        return Floats<BF16>(w, o, sums);
      default:
        return Decoded(w, o, sums);
    }
  }
};

}  // namespace

void VectorForward(ThreadPool& pool, Isa isa, const float* x, int64_t rows,
                   std::span<WeightProduct> products) {
  const int64_t cols = products[0].w->cols();
  const int64_t grain = std::clamp<int64_t>((1 << 15) / std::max<int64_t>(1, cols), 1, 64);
  ForOutputs(pool, rows, grain, products, [&](WeightProduct& p, int64_t begin, int64_t end) {
    float* y = p.y.data<float>();
    for (int64_t top = 0; top < rows; top += kVectorRows) {
      const FewRows in{isa, x + top * cols, std::min(kVectorRows, rows - top), cols};
      for (int64_t o = begin; o < end; ++o) {
        float sums[kVectorRows] = {};
        in.Output(*p.w, o, sums);
        for (int64_t t = 0; t < in.rows; ++t) y[(top + t) * p.w->rows() + o] = sums[t];
      }
    }
  });
}

}  // namespace retort
