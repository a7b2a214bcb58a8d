// SPDX-License-Identifier: Apache-2.0
// Root-mean-square normalisation and its gradient.
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

struct GainGradTerm {
  const float *dy, *x, *inv_rms;
  int64_t cols;
  template <int W, class Lanes>
  RETORT_INLINE Floats<W> Term(int64_t t, int64_t c, Lanes lanes) const {
    const int64_t i = t * cols + c;
    return Load<W>(dy + i, lanes) * (Load<W>(x + i, lanes) * inv_rms[t]);
  }
};

}  // namespace

void CpuBackend::RmsNorm(const Tensor& x, const Tensor& gain, float epsilon, Tensor& y,
                         Tensor& inv_rms) {
  const int64_t rows = x.rows(), cols = x.cols();
  RETORT_CHECK(gain.elements() == cols && y.elements() == x.elements() &&
               inv_rms.elements() == rows);
  ForRanges(pool_, rows, RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* row = x.data<float>() + t * cols;
      CallSimd<NormRow>(isa_, row, gain.data<float>(), cols, epsilon, y.data<float>() + t * cols,
                        inv_rms.data<float>() + t);
    }
  });
}

void CpuBackend::RmsNormGrad(const Tensor& dy, const Tensor& x, const Tensor& gain,
                             const Tensor& inv_rms, Tensor& dx, Tensor* dgain) {
  const int64_t rows = x.rows(), cols = x.cols();
  RETORT_CHECK(gain.elements() == cols && dy.elements() == x.elements() &&
               dx.elements() == x.elements() && inv_rms.elements() == rows);
  const float *dys = dy.data<float>(), *xs = x.data<float>(), *inv = inv_rms.data<float>();
  ForRanges(pool_, rows, RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      CallSimd<NormGradRow>(isa_, dys + t * cols, xs + t * cols, gain.data<float>(), cols, inv[t],
                            dx.data<float>() + t * cols);
    }
  });
  if (!dgain) return;
  RETORT_CHECK(dgain->elements() == cols);
  AddColumnSums(pool_, isa_, rows, cols, GainGradTerm{dys, xs, inv, cols}, dgain->data<float>());
}

}  // namespace retort
