// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "tensor/reference/reference_backend.h"

namespace retort {

void ReferenceBackend::CrossEntropy(Tensor& logits, const Tensor& targets, const Tensor& scales,
                                    Tensor& losses) {
  const int64_t vocabulary = logits.cols();
  RETORT_CHECK(targets.elements() == logits.rows() && losses.elements() == logits.rows() &&
                   (!scales || scales.elements() == logits.rows()),
               "losses of ", logits.shape().text(), " for ", targets.elements(), " targets");
  for (int64_t i = 0; i < logits.rows(); ++i) {
    double* row = logits.data<double>() + i * vocabulary;
    const int32_t target = targets.data<int32_t>()[i];
    RETORT_CHECK(target >= 0 && target < vocabulary, "target ", target, " of ", vocabulary);
    const double top = *std::max_element(row, row + vocabulary);
    double sum = 0;
    for (int64_t v = 0; v < vocabulary; ++v) sum += std::exp(row[v] - top);
    const double log_sum = top + std::log(sum);
    losses.data<double>()[i] = log_sum - row[target];
    if (!scales) continue;
    const double scale = scales.data<float>()[i];
    for (int64_t v = 0; v < vocabulary; ++v) {
      row[v] = scale * (std::exp(row[v] - log_sum) - (v == target ? 1 : 0));
    }
  }
}

void ReferenceBackend::AddSum(const Tensor& x, double factor, Tensor& sum) {
  double total = 0;
  for (int64_t i = 0; i < x.elements(); ++i) total += x.data<double>()[i];
  RETORT_CHECK(sum.elements() == 1);
  *sum.data<double>() += factor * total;
}

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

}  // namespace retort
