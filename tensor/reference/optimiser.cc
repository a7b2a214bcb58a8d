// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/dynamic_map.h"
#include "tensor/reference/reference_backend.h"

namespace retort {

void ReferenceBackend::SumSquares(const Tensor& x, Tensor& sum) {
  double total = 0;
  for (int64_t i = 0; i < x.elements(); ++i) total += x.data<double>()[i] * x.data<double>()[i];
  RETORT_CHECK(sum.elements() == 1);
  *sum.data<double>() += total;
}

void ReferenceBackend::ClipFactor(const Tensor& sum_squares, double limit, Tensor& factor) {
  RETORT_CHECK(sum_squares.elements() == 1 && factor.elements() == 1);
  const double scale = limit / (std::sqrt(*sum_squares.data<double>()) + 1e-6);
  *factor.data<float>() = limit > 0 && scale < 1 ? static_cast<float>(scale) : 1.0f;
}

void ReferenceBackend::AdamW(const AdamWStep& step, const Tensor& factor, Tensor& parameter,
                             const Tensor& gradient, Tensor& m, Tensor& v) {
  const int64_t n = parameter.elements();
  RETORT_CHECK(gradient.elements() == n && m.elements() == n && v.elements() == n &&
               factor.elements() == 1);
  const double lr = step.lr, beta1 = step.beta1, beta2 = step.beta2;
  const double t = static_cast<double>(step.step);
  const double correction1 = 1 - std::pow(beta1, t);
  const double correction2 = std::sqrt(1 - std::pow(beta2, t));
  for (int64_t i = 0; i < n; ++i) {
    const double g = gradient.data<double>()[i] * *factor.data<float>();
    double& p = parameter.data<double>()[i];
    double& mi = m.data<double>()[i];
    double& vi = v.data<double>()[i];
    mi = beta1 * mi + (1 - beta1) * g;
    vi = beta2 * vi + (1 - beta2) * g * g;
    p *= 1 - lr * step.weight_decay;
    p -= lr * correction2 / correction1 * mi / (std::sqrt(vi) + step.epsilon * correction2);
  }
}

void ReferenceBackend::AdamWBytes(const AdamWStep& step, const Tensor& factor, Tensor& parameter,
                                  const Tensor& gradient, ByteMoment& m, ByteMoment& v) {
  const int64_t n = parameter.elements();
  Tensor first = New({n}), second = New({n});
  const auto decode = [n](const ByteMoment& moment, const auto& map, Tensor& out) {
    for (int64_t i = 0; i < n; ++i) {
      out.data<double>()[i] = static_cast<double>(map[moment.codes.data<uint8_t>()[i]]) *
                              moment.scales.data<float>()[i / kByteBlock];
    }
  };
  decode(m, DynamicMap(true), first);
  decode(v, DynamicMap(false), second);
  AdamW(step, factor, parameter, gradient, first, second);
  const auto encode = [n](const Tensor& in, bool with_sign, ByteMoment& moment) {
    const double* x = in.data<double>();
    for (int64_t begin = 0; begin < n; begin += kByteBlock) {
      const int64_t end = std::min(n, begin + kByteBlock);
      double most = 0;
      for (int64_t i = begin; i < end; ++i) most = std::max(most, std::abs(x[i]));
      moment.scales.data<float>()[begin / kByteBlock] = static_cast<float>(most);
      for (int64_t i = begin; i < end; ++i) {
        const auto share = static_cast<float>(most > 0 ? x[i] / most : 0);
        moment.codes.data<uint8_t>()[i] =
            with_sign ? NearestCode(DynamicMap(true), share) : NearestAboveZero(share);
      }
    }
  };
  encode(first, true, m);
  encode(second, false, v);
}

void ReferenceBackend::Lion(const LionStep& step, const Tensor& factor, Tensor& parameter,
                            const Tensor& gradient, Tensor& m) {
  const int64_t n = parameter.elements();
  RETORT_CHECK(gradient.elements() == n && m.elements() == n && factor.elements() == 1);
  const double lr = step.lr, beta1 = step.beta1, beta2 = step.beta2;
  for (int64_t i = 0; i < n; ++i) {
    const double g = gradient.data<double>()[i] * *factor.data<float>();
    double& p = parameter.data<double>()[i];
    double& mi = m.data<double>()[i];
    const double c = beta1 * mi + (1 - beta1) * g;
    p *= 1 - lr * step.weight_decay;
    p -= lr * (c > 0 ? 1 : c < 0 ? -1 : 0);
    mi = beta2 * mi + (1 - beta2) * g;
  }
}

void ReferenceBackend::Sgd(const SgdStep& step, const Tensor& factor, Tensor& parameter,
                           const Tensor& gradient, Tensor& velocity) {
  const int64_t n = parameter.elements();
  RETORT_CHECK(gradient.elements() == n && (!velocity || velocity.elements() == n) &&
               factor.elements() == 1);
  const double lr = step.lr, momentum = step.momentum, decay = step.weight_decay;
  for (int64_t i = 0; i < n; ++i) {
    double& p = parameter.data<double>()[i];
    double d = gradient.data<double>()[i] * *factor.data<float>() + decay * p;
    if (velocity) {
      double& held = velocity.data<double>()[i];
      d = held = step.first ? d : momentum * held + d;
    }
    p -= lr * d;
  }
}

void ReferenceBackend::Adafactor(const AdafactorStep& step, const Tensor& factor, Tensor& parameter,
                                 const Tensor& gradient, Tensor& rows, Tensor& columns) {
  const int64_t n = parameter.elements(), cols = columns ? columns.elements() : n;
  RETORT_CHECK(gradient.elements() == n && factor.elements() == 1 &&
               rows.elements() == (columns ? n / cols : n));
  const double beta2 = step.beta2;
  std::vector<double> u(static_cast<size_t>(n));
  const auto g = [&](int64_t i) { return gradient.data<double>()[i] * *factor.data<float>(); };
  const auto mix = [&](double& held, double now) { held = beta2 * held + (1 - beta2) * now; };
  if (columns) {
    const int64_t count = rows.elements();
    std::vector<double> by_row(static_cast<size_t>(count)), by_column(static_cast<size_t>(cols));
    for (int64_t i = 0; i < n; ++i) {
      const double square = g(i) * g(i) + step.epsilon;
      by_row[static_cast<size_t>(i / cols)] += square / static_cast<double>(cols);
      by_column[static_cast<size_t>(i % cols)] += square / static_cast<double>(count);
    }
    double mean = 0;
    for (int64_t r = 0; r < count; ++r) {
      mix(rows.data<double>()[r], by_row[static_cast<size_t>(r)]);
      mean += rows.data<double>()[r] / static_cast<double>(count);
    }
    for (int64_t c = 0; c < cols; ++c)
      mix(columns.data<double>()[c], by_column[static_cast<size_t>(c)]);
    for (int64_t i = 0; i < n; ++i) {
      u[static_cast<size_t>(i)] =
          g(i) / std::sqrt(rows.data<double>()[i / cols] / mean * columns.data<double>()[i % cols]);
    }
  } else {
    for (int64_t i = 0; i < n; ++i) {
      mix(rows.data<double>()[i], g(i) * g(i) + step.epsilon);
      u[static_cast<size_t>(i)] = g(i) / std::sqrt(rows.data<double>()[i]);
    }
  }
  double squares = 0;
  for (const double x : u) squares += x * x;
  const double limit = std::max(1.0, std::sqrt(squares / static_cast<double>(n)) / step.clip);
  for (int64_t i = 0; i < n; ++i) {
    double& p = parameter.data<double>()[i];
    p *= 1 - static_cast<double>(step.lr) * step.weight_decay;
    p -= step.lr * u[static_cast<size_t>(i)] / limit;
  }
}

}  // namespace retort
