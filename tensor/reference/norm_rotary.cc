// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "tensor/reference/reference_backend.h"

namespace retort {

void ReferenceBackend::RmsNorm(const Tensor& x, const Tensor& gain, float epsilon, Tensor& y,
                               Tensor& inv_rms) {
  const int64_t width = x.cols(), gains = gain.elements() / width;
  RETORT_CHECK(x.shape() == y.shape() && gains > 0 && gain.elements() == gains * width &&
                   x.rows() % gains == 0 && inv_rms.elements() == x.rows(),
               "norm of ", x.shape().text());
  for (int64_t n = 0; n < x.rows(); ++n) {
    const double* row = x.data<double>() + n * width;
    double squares = 0;
    for (int64_t c = 0; c < width; ++c) squares += row[c] * row[c];
    const double r = 1 / std::sqrt(squares / static_cast<double>(width) + epsilon);
    inv_rms.data<double>()[n] = r;
    for (int64_t c = 0; c < width; ++c) {
      y.data<double>()[n * width + c] = row[c] * r * gain.data<double>()[n % gains * width + c];
    }
  }
}

// y_c = x_c r g_c and dr / dx_c = -r^3 x_c / C give
//   dx_c = r g_c dy_c - (r^3 / C) x_c * sum_j(dy_j g_j x_j),   dg_c = sum_n dy_c x_c r.
void ReferenceBackend::RmsNormGrad(const Tensor& dy, const Tensor& x, const Tensor& gain,
                                   const Tensor& inv_rms, Tensor& dx, Tensor* dgain) {
  const int64_t width = x.cols(), gains = gain.elements() / width;
  RETORT_CHECK(dy.shape() == x.shape() && dx.shape() == x.shape() && gains > 0 &&
                   gain.elements() == gains * width && x.rows() % gains == 0 &&
                   inv_rms.elements() == x.rows() &&
                   (!dgain || dgain->elements() == gain.elements()),
               "norm gradient of ", x.shape().text());
  for (int64_t n = 0; n < x.rows(); ++n) {
    const double* g = gain.data<double>() + n % gains * width;
    const double* row = x.data<double>() + n * width;
    const double* drow = dy.data<double>() + n * width;
    const double r = inv_rms.data<double>()[n];
    double dot = 0;
    for (int64_t c = 0; c < width; ++c) dot += drow[c] * g[c] * row[c];
    for (int64_t c = 0; c < width; ++c) {
      dx.data<double>()[n * width + c] +=
          r * g[c] * drow[c] - r * r * r / static_cast<double>(width) * row[c] * dot;
      if (dgain) dgain->data<double>()[n % gains * width + c] += drow[c] * row[c] * r;
    }
  }
}

void ReferenceBackend::CenterRows(const Tensor& x, bool accumulate, Tensor& y) {
  RETORT_CHECK(x.shape() == y.shape(), "centring of ", x.shape().text());
  const int64_t width = x.cols();
  for (int64_t n = 0; n < x.rows(); ++n) {
    const double* row = x.data<double>() + n * width;
    double sum = 0;
    for (int64_t c = 0; c < width; ++c) sum += row[c];
    for (int64_t c = 0; c < width; ++c) {
      double& out = y.data<double>()[n * width + c];
      out = (accumulate ? out : 0) + row[c] - sum / static_cast<double>(width);
    }
  }
}

void ReferenceBackend::RotaryTable(const Tensor& positions, const Tensor& inv_freq,
                                   double amplitude, Tensor& cos, Tensor& sin) {
  const int64_t half = inv_freq.elements();
  RETORT_CHECK(cos.elements() == positions.elements() * half && cos.shape() == sin.shape(),
               "rotary table ", cos.shape().text());
  for (int64_t t = 0; t < positions.elements(); ++t) {
    for (int64_t i = 0; i < half; ++i) {
      const double angle = positions.data<int32_t>()[t] * inv_freq.data<double>()[i];
      cos.data<double>()[t * half + i] = amplitude * std::cos(angle);
      sin.data<double>()[t * half + i] = amplitude * std::sin(angle);
    }
  }
}

void ReferenceBackend::Rotary(const Tensor& x, const Tensor& cos, const Tensor& sin, int heads,
                              bool inverse, Tensor& y, RotaryPairs pairs) {
  const int64_t tokens = cos.rows(), half = cos.cols(), width = x.cols() / heads;
  const bool halves = pairs == RotaryPairs::kHalves;
  RETORT_CHECK(x.shape() == y.shape() && cos.shape() == sin.shape() && x.rows() == tokens &&
                   x.cols() == heads * width && 2 * half <= width,
               "rotary of ", x.shape().text(), " in ", heads, " heads by ", cos.shape().text());
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t head = (t * heads + h) * width;
      for (int64_t i = 0; i < half; ++i) {
        const double c = cos.data<double>()[t * half + i];
        const double s = sin.data<double>()[t * half + i] * (inverse ? -1 : 1);
        const int64_t a = head + (halves ? i : 2 * i), b = head + (halves ? i + half : 2 * i + 1);
        const double first = x.data<double>()[a], second = x.data<double>()[b];
        y.data<double>()[a] = first * c - second * s;
        y.data<double>()[b] = second * c + first * s;
      }
      for (int64_t i = 2 * half; i < width; ++i)
        y.data<double>()[head + i] = x.data<double>()[head + i];
    }
  }
}

}  // namespace retort
