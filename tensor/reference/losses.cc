// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "tensor/reference/reference_backend.h"

namespace retort {

void ReferenceBackend::CrossEntropy(Tensor& logits, std::span<const int32_t> targets,
                                    float gradient_scale, std::span<double> losses) {
  const int64_t vocabulary = logits.cols();
  RETORT_CHECK(static_cast<int64_t>(targets.size()) == logits.rows() &&
                   losses.size() == targets.size(),
               "losses of ", logits.shape().text(), " for ", targets.size(), " targets");
  for (size_t i = 0; i < targets.size(); ++i) {
    double* row = logits.data<double>() + static_cast<int64_t>(i) * vocabulary;
    const int32_t target = targets[i];
    RETORT_CHECK(target >= 0 && target < vocabulary, "target ", target, " of ", vocabulary);
    const double top = *std::max_element(row, row + vocabulary);
    double sum = 0;
    for (int64_t v = 0; v < vocabulary; ++v) sum += std::exp(row[v] - top);
    const double log_sum = top + std::log(sum);
    losses[i] = log_sum - row[target];
    if (gradient_scale == 0) continue;
    for (int64_t v = 0; v < vocabulary; ++v) {
      row[v] = gradient_scale * (std::exp(row[v] - log_sum) - (v == target ? 1 : 0));
    }
  }
}

double ReferenceBackend::SumSquares(const Tensor& x) {
  double sum = 0;
  for (int64_t i = 0; i < x.elements(); ++i) sum += x.data<double>()[i] * x.data<double>()[i];
  return sum;
}

void ReferenceBackend::AdamW(const AdamWStep& step, Tensor& parameter, const Tensor& gradient,
                             Tensor& m, Tensor& v) {
  const int64_t n = parameter.elements();
  RETORT_CHECK(gradient.elements() == n && m.elements() == n && v.elements() == n);
  const double lr = step.lr, beta1 = step.beta1, beta2 = step.beta2;
  const double t = static_cast<double>(step.step);
  const double correction1 = 1 - std::pow(beta1, t);
  const double correction2 = std::sqrt(1 - std::pow(beta2, t));
  for (int64_t i = 0; i < n; ++i) {
    const double g = gradient.data<double>()[i] * step.grad_scale;
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
