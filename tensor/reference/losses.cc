// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "tensor/reference/reference_backend.h"

namespace retort {

void ReferenceBackend::CrossEntropy(Tensor& logits, const Tensor& targets, const Tensor& scales,
                                    float smoothing, Tensor& losses) {
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
    const double uniform = static_cast<double>(smoothing) / static_cast<double>(vocabulary);
    const auto wanted = [&](int64_t v) { return uniform + (v == target ? 1.0 - smoothing : 0.0); };
    double loss = 0;
    for (int64_t v = 0; v < vocabulary; ++v) loss += wanted(v) * (log_sum - row[v]);
    losses.data<double>()[i] = loss;
    if (!scales) continue;
    const double scale = scales.data<float>()[i];
    for (int64_t v = 0; v < vocabulary; ++v)
      row[v] = scale * (std::exp(row[v] - log_sum) - wanted(v));
  }
}

void ReferenceBackend::AddSum(const Tensor& x, double factor, Tensor& sum) {
  double total = 0;
  for (int64_t i = 0; i < x.elements(); ++i) total += x.data<double>()[i];
  RETORT_CHECK(sum.elements() == 1);
  *sum.data<double>() += factor * total;
}

}  // namespace retort
