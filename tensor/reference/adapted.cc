// SPDX-License-Identifier: Apache-2.0
// Weights with adapters: the norms of their rows, and columns brought to another norm.
#include <cmath>

#include "tensor/quant/quant.h"
#include "tensor/reference/reference_backend.h"

namespace retort {

void ReferenceBackend::AdaptedNorms(const PreparedWeight& prepared, const Tensor& a,
                                    const Tensor& b, float scale, Tensor& norms) {
  const Weight& w = Stored(prepared);
  const int64_t rank = a.rows(), cols = w.cols();
  RETORT_CHECK(
      a.cols() == cols && b.rows() == w.rows() && b.cols() == rank && norms.elements() == w.rows(),
      "norms of ", w.rows(), " x ", cols, " with ", a.shape().text(), " and ", b.shape().text());
  std::vector<float> row(static_cast<size_t>(cols));
  for (int64_t o = 0; o < w.rows(); ++o) {
    DecodeRow(w, o, 0, cols, row.data());
    double squares = 0;
    for (int64_t i = 0; i < cols; ++i) {
      double change = 0;
      for (int64_t r = 0; r < rank; ++r)
        change += b.data<double>()[o * rank + r] * a.data<double>()[r * cols + i];
      squares += std::pow(row[static_cast<size_t>(i)] + double{scale} * change, 2);
    }
    norms.data<double>()[o] = std::sqrt(squares);
  }
}

void ReferenceBackend::ResizeColumns(const Tensor& x, const Tensor& size, const Tensor& norms,
                                     Tensor& y) {
  const int64_t cols = x.cols();
  RETORT_CHECK(x.shape() == y.shape() && size.elements() == cols && norms.elements() == cols,
               "columns of ", x.shape().text());
  for (int64_t i = 0; i < x.elements(); ++i) {
    const double norm = norms.data<double>()[i % cols];
    y.data<double>()[i] =
        norm == 0 ? 0 : x.data<double>()[i] * size.data<double>()[i % cols] / norm;
  }
}

void ReferenceBackend::ResizeColumnsGrad(const Tensor& dy, const Tensor& x, const Tensor& norms,
                                         Tensor& dsize) {
  const int64_t cols = x.cols();
  RETORT_CHECK(dy.shape() == x.shape() && dsize.elements() == cols && norms.elements() == cols,
               "columns of ", x.shape().text());
  for (int64_t i = 0; i < x.elements(); ++i) {
    const double norm = norms.data<double>()[i % cols];
    dsize.data<double>()[i % cols] +=
        norm == 0 ? 0 : dy.data<double>()[i] * x.data<double>()[i] / norm;
  }
}

}  // namespace retort
