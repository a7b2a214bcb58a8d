// SPDX-License-Identifier: Apache-2.0
// Filling, copying, adding, scaling and biases.
#include <algorithm>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"

namespace retort {
namespace {

struct FillOp {
  float* x;
  float value;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    Store<W>(x + i, Splat<W>(value), lanes);
  }
};

struct AddOp {
  const float *a, *b;
  float* out;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    Store<W>(out + i, Load<W>(a + i, lanes) + Load<W>(b + i, lanes), lanes);
  }
};

struct RowTerm {
  const float* x;
  int64_t cols;
  template <int W, class Lanes>
  RETORT_INLINE Floats<W> Term(int64_t t, int64_t c, Lanes lanes) const {
    return Load<W>(x + t * cols + c, lanes);
  }
};

}  // namespace

void CpuBackend::Fill(Tensor& x, float value) {
  ForElements(pool_, isa_, x.elements(), FillOp{x.data<float>(), value});
}

void CpuBackend::Add(const Tensor& a, const Tensor& b, Tensor& out) {
  RETORT_CHECK(a.elements() == b.elements() && a.elements() == out.elements());
  ForElements(pool_, isa_, out.elements(),
              AddOp{a.data<float>(), b.data<float>(), out.data<float>()});
}

void CpuBackend::Accumulate(const Tensor& x, Tensor& sum) { Add(x, sum, sum); }

void CpuBackend::Scale(Tensor& x, float factor) {
  ForElements(pool_, isa_, x.elements(), ScaleOp{x.data<float>(), factor});
}

void CpuBackend::AddBias(Tensor& y, const Tensor& bias) {
  const int64_t cols = y.cols();
  RETORT_CHECK(bias.elements() == cols, "bias of ", bias.elements(), " for ", cols, " columns");
  ForRanges(pool_, y.rows(), RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      float* row = y.data<float>() + t * cols;
      const AddOp op{row, bias.data<float>(), row};
      CallSimd<LanesKernel>(isa_, &op, int64_t{0}, cols);
    }
  });
}

void CpuBackend::BiasGrad(const Tensor& dy, Tensor& dbias) {
  const int64_t rows = dy.rows(), cols = dy.cols();
  RETORT_CHECK(dbias.elements() == cols, "bias of ", dbias.elements(), " for ", cols, " columns");
  AddColumnSums(pool_, isa_, rows, cols, RowTerm{dy.data<float>(), cols}, dbias.data<float>());
}

}  // namespace retort
