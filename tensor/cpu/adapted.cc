// SPDX-License-Identifier: Apache-2.0
// Weights with adapters: the norms of their rows, and columns brought to another norm.
#include <cmath>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/products.h"
#include "tensor/quant/decode.h"

namespace retort {
namespace {

struct AddTimesOp {
  const float* x;
  float factor;
  float* sum;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    Store<W>(sum + i, Load<W>(sum + i, lanes) + Load<W>(x + i, lanes) * factor, lanes);
  }
};

// row: the weight's own, to which the adapter's change is added.
struct AdaptedNormOfRow {
  template <int W>
  RETORT_INLINE static void Run(float* row, int64_t cols, const float* a, const float* b,
                                int64_t rank, float scale, float* norm) {
    for (int64_t r = 0; r < rank; ++r)
      ForLanes<W>(AddTimesOp{a + r * cols, scale * b[r], row}, 0, cols);
    *norm = std::sqrt(SumLanes<W>(DotTerm{row, row}, 0, cols));
  }
};

// a / norm; 0 for a norm of 0, and so in the lanes beyond the end.
template <int W>
RETORT_INLINE Floats<W> ByNorm(Floats<W> a, Floats<W> norm) {
  return norm == 0.0f ? Floats<W>{} : a / norm;
}

struct ResizeOp {
  const float *x, *size, *norms;
  float* y;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    const Floats<W> factor = ByNorm<W>(Load<W>(size + i, lanes), Load<W>(norms + i, lanes));
    Store<W>(y + i, Load<W>(x + i, lanes) * factor, lanes);
  }
};

struct ResizeTerm {
  const float *dy, *x, *norms;
  int64_t cols;
  template <int W, class Lanes>
  RETORT_INLINE Floats<W> Term(int64_t t, int64_t c, Lanes lanes) const {
    return ByNorm<W>(Load<W>(dy + t * cols + c, lanes) * Load<W>(x + t * cols + c, lanes),
                     Load<W>(norms + c, lanes));
  }
};

}  // namespace

void CpuBackend::AdaptedNorms(const PreparedWeight& prepared, const Tensor& a, const Tensor& b,
                              float scale, Tensor& norms) {
  const Weight& w = prepared.as<CpuWeight>().weight;
  const int64_t rank = a.rows(), cols = w.cols();
  RETORT_CHECK(
      a.cols() == cols && b.rows() == w.rows() && b.cols() == rank && norms.elements() == w.rows(),
      "norms of ", w.rows(), " x ", cols, " with ", a.shape().text(), " and ", b.shape().text());
  const Tensor scratch = New({pool_.threads(), cols});
  const double operations = 2.0 * static_cast<double>((rank + 2) * cols * w.rows());
  ForPieces(pool_, operations, w.rows(), [&](int64_t o, int worker) {
    float* row = scratch.data<float>() + worker * cols;
    DecodeRow(isa_, w, o, 0, cols, row);
    CallSimd<AdaptedNormOfRow>(isa_, row, cols, a.data<float>(), b.data<float>() + o * rank, rank,
                               scale, norms.data<float>() + o);
  });
}

void CpuBackend::ResizeColumns(const Tensor& x, const Tensor& size, const Tensor& norms,
                               Tensor& y) {
  const int64_t cols = x.cols();
  RETORT_CHECK(x.shape() == y.shape() && size.elements() == cols && norms.elements() == cols,
               "columns of ", x.shape().text());
  ForRanges(pool_, x.rows(), RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const ResizeOp op{x.data<float>() + t * cols, size.data<float>(), norms.data<float>(),
                        y.data<float>() + t * cols};
      CallSimd<LanesKernel>(isa_, &op, int64_t{0}, cols);
    }
  });
}

void CpuBackend::ResizeColumnsGrad(const Tensor& dy, const Tensor& x, const Tensor& norms,
                                   Tensor& dsize) {
  const int64_t cols = x.cols();
  RETORT_CHECK(dy.shape() == x.shape() && dsize.elements() == cols && norms.elements() == cols,
               "columns of ", x.shape().text());
  AddColumnSums(pool_, isa_, x.rows(), cols,
                ResizeTerm{dy.data<float>(), x.data<float>(), norms.data<float>(), cols},
                dsize.data<float>());
}

}  // namespace retort
