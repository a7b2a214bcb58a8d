// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "tensor/reference/reference_backend.h"

namespace retort {
namespace {

double MeanSquare(double* y, const double* t, int64_t width, double scale) {
  double sum = 0;
  for (int64_t d = 0; d < width; ++d) {
    const double difference = y[d] - t[d];
    sum += difference * difference;
    if (scale != 0) y[d] = scale * 2 * difference / static_cast<double>(width);
  }
  return sum / static_cast<double>(width);
}

// d cos / dy = t / (|y| |t|) - cos y / |y|^2
double Cosine(double* y, const double* t, int64_t width, double scale) {
  double dot = 0, yy = 0, tt = 0;
  for (int64_t d = 0; d < width; ++d) dot += y[d] * t[d], yy += y[d] * y[d], tt += t[d] * t[d];
  const double norms = std::sqrt(yy) * std::sqrt(tt), cosine = norms > 0 ? dot / norms : 0;
  for (int64_t d = 0; d < width && scale != 0; ++d) {
    y[d] = norms > 0 ? -scale * (t[d] / norms - cosine * y[d] / yy) : 0;
  }
  return 1 - cosine;
}

}  // namespace

void ReferenceBackend::HiddenDistance(Tensor& y, const Tensor& target, HiddenLossKind kind,
                                      float gradient_scale, Tensor& losses) {
  const int64_t rows = y.rows(), width = y.cols();
  RETORT_CHECK(target.rows() == rows && target.cols() == width && losses.elements() == rows,
               "hidden states ", y.shape().text(), ", targets ", target.shape().text(), ", ",
               losses.elements(), " losses");
  for (int64_t i = 0; i < rows; ++i) {
    const auto distance = kind == HiddenLossKind::kMse ? MeanSquare : Cosine;
    losses.data<double>()[i] = distance(y.data<double>() + i * width,
                                        target.data<double>() + i * width, width, gradient_scale);
  }
}

}  // namespace retort
