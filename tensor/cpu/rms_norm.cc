// SPDX-License-Identifier: Apache-2.0
// Root-mean-square normalisation and its gradient, and rows less their means.
#include <cmath>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"

namespace retort {
namespace {

struct SquareTerm {
  const float* x;
  template <int W, class Lanes>
  RETORT_INLINE Floats<W> Term(int64_t i, Lanes lanes) const {
    const Floats<W> v = Load<W>(x + i, lanes);
    return v * v;
  }
};

struct NormOp {
  const float *x, *gain;
  float r;
  float* y;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    Store<W>(y + i, Load<W>(x + i, lanes) * r * Load<W>(gain + i, lanes), lanes);
  }
};

struct NormRow {
  template <int W>
  RETORT_INLINE static void Run(const float* x, const float* gain, int64_t cols, float epsilon,
                                float* y, float* inv_rms) {
    const double mean =
        static_cast<double>(SumLanes<W>(SquareTerm{x}, 0, cols)) / static_cast<double>(cols);
    *inv_rms = static_cast<float>(1 / std::sqrt(mean + epsilon));
    ForLanes<W>(NormOp{x, gain, *inv_rms, y}, 0, cols);
  }
};

struct ProductTerm {
  const float *dy, *x, *gain;
  template <int W, class Lanes>
  RETORT_INLINE Floats<W> Term(int64_t i, Lanes lanes) const {
    return Load<W>(dy + i, lanes) * Load<W>(gain + i, lanes) * Load<W>(x + i, lanes);
  }
};

struct NormGradOp {
  const float *dy, *x, *gain;
  float r, shift;
  float* dx;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    const Floats<W> direct = Load<W>(dy + i, lanes) * Load<W>(gain + i, lanes) * r;
    Store<W>(dx + i, Load<W>(dx + i, lanes) + (direct - Load<W>(x + i, lanes) * shift), lanes);
  }
};

// dx_j += r g_j dy_j - x_j r^3 / C sum_c dy_c g_c x_c
struct NormGradRow {
  template <int W>
  RETORT_INLINE static void Run(const float* dy, const float* x, const float* gain, int64_t cols,
                                float inv_rms, float* dx) {
    const double r = inv_rms, sum = SumLanes<W>(ProductTerm{dy, x, gain}, 0, cols);
    const auto shift = static_cast<float>(sum * r * r * r / static_cast<double>(cols));
    ForLanes<W>(NormGradOp{dy, x, gain, inv_rms, shift, dx}, 0, cols);
  }
};

// Of every `step`-th row.
struct GainGradTerm {
  const float *dy, *x, *inv_rms;
  int64_t cols, step;
  template <int W, class Lanes>
  RETORT_INLINE Floats<W> Term(int64_t t, int64_t c, Lanes lanes) const {
    const int64_t i = t * step * cols + c;
    return Load<W>(dy + i, lanes) * (Load<W>(x + i, lanes) * inv_rms[t * step]);
  }
};

struct SumTerm {
  const float* x;
  template <int W, class Lanes>
  RETORT_INLINE Floats<W> Term(int64_t i, Lanes lanes) const {
    return Load<W>(x + i, lanes);
  }
};

struct CenterOp {
  const float* x;
  float mean;
  bool accumulate;
  float* y;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    const Floats<W> centered = Load<W>(x + i, lanes) - mean;
    Store<W>(y + i, accumulate ? Load<W>(y + i, lanes) + centered : centered, lanes);
  }
};

struct CenterRow {
  template <int W>
  RETORT_INLINE static void Run(const float* x, int64_t cols, bool accumulate, float* y) {
    const double mean =
        static_cast<double>(SumLanes<W>(SumTerm{x}, 0, cols)) / static_cast<double>(cols);
    ForLanes<W>(CenterOp{x, static_cast<float>(mean), accumulate, y}, 0, cols);
  }
};

}  // namespace

void CpuBackend::RmsNorm(const Tensor& x, const Tensor& gain, float epsilon, Tensor& y,
                         Tensor& inv_rms) {
  const int64_t rows = x.rows(), cols = x.cols();
  const int64_t gains = gain.elements() / cols;
  RETORT_CHECK(gains > 0 && gain.elements() == gains * cols && rows % gains == 0 &&
               y.elements() == x.elements() && inv_rms.elements() == rows);
  ForRanges(pool_, rows, RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* row = x.data<float>() + t * cols;
      CallSimd<NormRow>(isa_, row, gain.data<float>() + t % gains * cols, cols, epsilon,
                        y.data<float>() + t * cols, inv_rms.data<float>() + t);
    }
  });
}

void CpuBackend::RmsNormGrad(const Tensor& dy, const Tensor& x, const Tensor& gain,
                             const Tensor& inv_rms, Tensor& dx, Tensor* dgain) {
  const int64_t rows = x.rows(), cols = x.cols();
  const int64_t gains = gain.elements() / cols;
  RETORT_CHECK(gains > 0 && gain.elements() == gains * cols && rows % gains == 0 &&
               dy.elements() == x.elements() && dx.elements() == x.elements() &&
               inv_rms.elements() == rows);
  const float *dys = dy.data<float>(), *xs = x.data<float>(), *inv = inv_rms.data<float>();
  ForRanges(pool_, rows, RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      CallSimd<NormGradRow>(isa_, dys + t * cols, xs + t * cols,
                            gain.data<float>() + t % gains * cols, cols, inv[t],
                            dx.data<float>() + t * cols);
    }
  });
  if (!dgain) return;
  RETORT_CHECK(dgain->elements() == gain.elements());
  for (int64_t g = 0; g < gains; ++g) {
    const GainGradTerm term{dys + g * cols, xs + g * cols, inv + g, cols, gains};
    AddColumnSums(pool_, isa_, rows / gains, cols, term, dgain->data<float>() + g * cols);
  }
}

void CpuBackend::CenterRows(const Tensor& x, bool accumulate, Tensor& y) {
  const int64_t rows = x.rows(), cols = x.cols();
  RETORT_CHECK(y.elements() == x.elements());
  ForRanges(pool_, rows, RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      CallSimd<CenterRow>(isa_, x.data<float>() + t * cols, cols, accumulate,
                          y.data<float>() + t * cols);
    }
  });
}

}  // namespace retort
