// SPDX-License-Identifier: Apache-2.0
#include "tensor/quant/quant.h"
#include "tensor/reference/reference_backend.h"

namespace retort {
namespace {

struct Borrowed : PreparedWeight::Data {
  explicit Borrowed(const Weight& w) : weight(w) {}
  Weight weight;
};

}  // namespace

PreparedWeight ReferenceBackend::Prepare(const Weight& w, const WeightUse&) {
  return {w.rows(), w.cols(), w.total_bytes(), Compute::kF32, std::make_shared<Borrowed>(w)};
}

const Weight& ReferenceBackend::Stored(const PreparedWeight& w) { return w.as<Borrowed>().weight; }

void ReferenceBackend::LinearForward(const Tensor& x, const PreparedWeight& prepared, Tensor& y) {
  const Weight& w = Stored(prepared);
  RETORT_CHECK(x.cols() == w.cols() && y.cols() == w.rows() && x.rows() == y.rows(), "product of ",
               x.shape().text(), " with a weight of ", w.rows(), " x ", w.cols());
  std::vector<float> row(static_cast<size_t>(w.cols()));
  for (int64_t o = 0; o < w.rows(); ++o) {
    DecodeRow(w, o, 0, w.cols(), row.data());
    for (int64_t t = 0; t < x.rows(); ++t) {
      const double* in = x.data<double>() + t * w.cols();
      double sum = 0;
      for (size_t i = 0; i < row.size(); ++i) sum += in[i] * row[i];
      y.data<double>()[t * w.rows() + o] = sum;
    }
  }
}

void ReferenceBackend::LinearInputGrad(const Tensor& dy, const PreparedWeight& prepared,
                                       Tensor& dx) {
  const Weight& w = Stored(prepared);
  RETORT_CHECK(dx.cols() == w.cols() && dy.cols() == w.rows() && dx.rows() == dy.rows(),
               "gradient of ", dy.shape().text(), " through a weight of ", w.rows(), " x ",
               w.cols());
  std::vector<float> row(static_cast<size_t>(w.cols()));
  for (int64_t o = 0; o < w.rows(); ++o) {
    DecodeRow(w, o, 0, w.cols(), row.data());
    for (int64_t t = 0; t < dy.rows(); ++t) {
      const double d = dy.data<double>()[t * w.rows() + o];
      double* out = dx.data<double>() + t * w.cols();
      for (size_t i = 0; i < row.size(); ++i) out[i] += d * row[i];
    }
  }
}

void ReferenceBackend::Gemm(bool transpose_a, bool transpose_b, float alpha, const Tensor& a,
                            const Tensor& b, float beta, Tensor& c) {
  const int64_t rows = c.rows(), cols = c.cols();
  const int64_t depth = transpose_a ? a.rows() : a.cols();
  RETORT_CHECK((transpose_a ? a.cols() : a.rows()) == rows &&
                   (transpose_b ? b.cols() : b.rows()) == depth &&
                   (transpose_b ? b.rows() : b.cols()) == cols,
               "gemm of ", a.shape().text(), " and ", b.shape().text(), " into ", c.shape().text());
  const double* in_a = a.data<double>();
  const double* in_b = b.data<double>();
  for (int64_t m = 0; m < rows; ++m) {
    for (int64_t n = 0; n < cols; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < depth; ++k) {
        sum += in_a[transpose_a ? k * rows + m : m * depth + k] *
               in_b[transpose_b ? n * depth + k : k * cols + n];
      }
      double& out = c.data<double>()[m * cols + n];
      // beta = 0 must overwrite NaN and infinity, which 0 * out would not.
      out = beta == 0 ? alpha * sum : alpha * sum + beta * out;
    }
  }
}

}  // namespace retort
