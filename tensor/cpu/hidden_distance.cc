// SPDX-License-Identifier: Apache-2.0
// Distances between rows of hidden states, and their in-place gradients.
#include <cmath>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"

namespace retort {
namespace {

struct SquaredDifference {
  const float *y, *t;
  template <int W, class Lanes>
  RETORT_INLINE Floats<W> Term(int64_t i, Lanes lanes) const {
    const Floats<W> d = Load<W>(y + i, lanes) - Load<W>(t + i, lanes);
    return d * d;
  }
};

// Both gradients have this form: y = (y * along - t) * factor.
struct GradientOp {
  float* y;
  const float* t;
  float along, factor;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    const Floats<W> d = Load<W>(y + i, lanes) * along - Load<W>(t + i, lanes);
    Store<W>(y + i, d * factor, lanes);
  }
};

struct MseRow {
  template <int W>
  RETORT_INLINE static void Run(float* y, const float* t, int64_t width, float scale,
                                double* loss) {
    const double count = static_cast<double>(width);
    *loss = SumLanes<W>(SquaredDifference{y, t}, 0, width) / count;
    if (scale != 0) {
      ForLanes<W>(GradientOp{y, t, 1, static_cast<float>(2 * scale / count)}, 0, width);
    }
  }
};

// -d cos / dy = (y (y.t) / |y|^2 - t) / (|y| |t|)
struct CosineRow {
  template <int W>
  RETORT_INLINE static void Run(float* y, const float* t, int64_t width, float scale,
                                double* loss) {
    const double dot = SumLanes<W>(DotTerm{y, t}, 0, width);
    const double yy = SumLanes<W>(DotTerm{y, y}, 0, width);
    const double tt = SumLanes<W>(DotTerm{t, t}, 0, width);
    const double norms = std::sqrt(yy) * std::sqrt(tt);
    const bool flat = norms == 0;  // not !(norms > 0): NaN must propagate
    *loss = flat ? 1 : 1 - dot / norms;
    if (scale == 0) return;
    const double along = flat ? 0 : dot / yy, factor = flat ? 0 : scale / norms;
    ForLanes<W>(GradientOp{y, t, static_cast<float>(along), static_cast<float>(factor)}, 0, width);
  }
};

}  // namespace

void CpuBackend::HiddenDistance(Tensor& y, const Tensor& target, HiddenLossKind kind,
                                float gradient_scale, Tensor& losses) {
  const int64_t rows = y.rows(), width = y.cols();
  RETORT_CHECK(target.rows() == rows && target.cols() == width && losses.elements() == rows,
               "hidden states ", y.shape().text(), ", targets ", target.shape().text(), ", ",
               losses.elements(), " losses");
  ForRanges(pool_, rows, RowsPerPiece(width), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* row = y.data<float>() + i * width;
      const float* to = target.data<float>() + i * width;
      double* loss = losses.data<double>() + i;
      if (kind == HiddenLossKind::kMse) {
        CallSimd<MseRow>(isa_, row, to, width, gradient_scale, loss);
      } else {
        CallSimd<CosineRow>(isa_, row, to, width, gradient_scale, loss);
      }
    }
  });
}

}  // namespace retort
