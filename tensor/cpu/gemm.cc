// SPDX-License-Identifier: Apache-2.0
// Dense products in f32: OpenBLAS on panels of the longer side of the result. The sum over the
// depth is never split.
#include <cblas.h>

#include <algorithm>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/products.h"

namespace retort {
namespace {

// About eight pieces, in steps of 64, neither too narrow nor too wide for one call.
int64_t PanelWidth(int64_t n) {
  return std::clamp<int64_t>(RoundUp(CeilDiv(n, 8), 64), 64, 512);
}

}  // namespace

void CpuBackend::Gemm(bool transpose_a, bool transpose_b, float alpha, const Tensor& a,
                      const Tensor& b, float beta, Tensor& c) {
  const int64_t rows = c.rows(), cols = c.cols(), depth = transpose_a ? a.rows() : a.cols();
  RETORT_CHECK((transpose_a ? a.cols() : a.rows()) == rows &&
                   (transpose_b ? b.cols() : b.rows()) == depth &&
                   (transpose_b ? b.rows() : b.cols()) == cols,
               "gemm of ", a.shape().text(), transpose_a ? "^T" : "", " and ", b.shape().text(),
               transpose_b ? "^T" : "", " into ", c.shape().text());
  if (rows == 0 || cols == 0) return;
  const float* from_a = a.data<float>();
  const float* from_b = b.data<float>();
  float* to = c.data<float>();
  const bool by_rows = rows >= cols;
  const int64_t longer = by_rows ? rows : cols, width = PanelWidth(longer);
  const double operations =
      2.0 * static_cast<double>(rows) * static_cast<double>(cols) * static_cast<double>(depth);
  ForPieces(pool_, operations, CeilDiv(longer, width), [&](int64_t piece, int) {
    const int64_t begin = piece * width, n = std::min(width, longer - begin);
    const int64_t row = by_rows ? begin : 0, col = by_rows ? 0 : begin;
    const auto size = [](int64_t v) { return static_cast<blasint>(v); };
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                transpose_b ? CblasTrans : CblasNoTrans, size(by_rows ? n : rows),
                size(by_rows ? cols : n), size(depth), alpha,
                from_a + (transpose_a ? row : row * depth), size(std::max<int64_t>(1, a.cols())),
                from_b + (transpose_b ? col * depth : col), size(std::max<int64_t>(1, b.cols())),
                beta, to + row * cols + col, size(cols));
  });
}

}  // namespace retort
