// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>

#include "tensor/host_routing.h"
#include "tensor/reference/reference_backend.h"

namespace retort {

void ReferenceBackend::Route(const RouteRule& rule, const Tensor& logits, Tensor& probabilities,
                             Tensor& experts, Tensor& weights) {
  CheckRoute(rule, logits, probabilities, experts, weights);
  const int64_t count = logits.cols();
  for (int64_t t = 0; t < logits.rows(); ++t) {
    const double* z = logits.data<double>() + t * count;
    double* p = probabilities.data<double>() + t * count;
    const double top = *std::max_element(z, z + count);
    double sum = 0;
    for (int64_t e = 0; e < count; ++e) sum += std::exp(z[e] - top);
    for (int64_t e = 0; e < count; ++e) p[e] = std::exp(z[e] - top) / sum;

    std::vector<int32_t> order(static_cast<size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return p[a] > p[b]; });
    double chosen = 0;
    for (int j = 0; j < rule.used; ++j) chosen += p[order[static_cast<size_t>(j)]];
    for (int j = 0; j < rule.used; ++j) {
      const int32_t e = order[static_cast<size_t>(j)];
      experts.data<int32_t>()[t * rule.used + j] = e;
      weights.data<double>()[t * rule.used + j] = rule.renormalise ? p[e] / chosen : p[e];
    }
  }
}

// The chain rule through both steps. The weights w_j = p_j / s, s the sum over the chosen experts,
// give dp_j = (dw_j - sum_i dw_i w_i) / s; without renormalisation dp_j = dw_j; dp is 0 for experts
// not chosen. The softmax gives dz_e += p_e (dp_e - sum_i p_i dp_i).
void ReferenceBackend::RouteGrad(const RouteRule& rule, const Tensor& dweights,
                                 const Tensor& probabilities, const Tensor& experts,
                                 Tensor& dlogits) {
  CheckRoute(rule, dlogits, probabilities, experts, dweights);
  const int64_t count = dlogits.cols();
  for (int64_t t = 0; t < dlogits.rows(); ++t) {
    const double* p = probabilities.data<double>() + t * count;
    const double* dw = dweights.data<double>() + t * rule.used;
    const int32_t* chosen = experts.data<int32_t>() + t * rule.used;
    double sum = 0, weighted = 0;
    for (int j = 0; j < rule.used; ++j) sum += p[chosen[j]], weighted += dw[j] * p[chosen[j]];
    std::vector<double> dp(static_cast<size_t>(count));
    for (int j = 0; j < rule.used; ++j) {
      dp[static_cast<size_t>(chosen[j])] =
          rule.renormalise ? (dw[j] - weighted / sum) / sum : dw[j];
    }
    const double mean = std::inner_product(dp.begin(), dp.end(), p, 0.0);
    for (int64_t e = 0; e < count; ++e) {
      dlogits.data<double>()[t * count + e] += p[e] * (dp[static_cast<size_t>(e)] - mean);
    }
  }
}

void ReferenceBackend::AddWeightedRows(const Tensor& x, const Tensor& weights,
                                       const Tensor& row_numbers, const Tensor& place_numbers,
                                       Tensor& out) {
  const std::span<const int32_t> rows = Numbers(row_numbers), places = Numbers(place_numbers);
  CheckPlaces(x, weights, rows, places, out);
  for (size_t i = 0; i < rows.size(); ++i) {
    const double weight = weights.data<double>()[places[i]];
    for (int64_t c = 0; c < x.cols(); ++c) {
      out.data<double>()[rows[i] * x.cols() + c] +=
          weight * x.data<double>()[static_cast<int64_t>(i) * x.cols() + c];
    }
  }
}

void ReferenceBackend::WeightedRowsGrad(const Tensor& dout, const Tensor& x, const Tensor& weights,
                                        const Tensor& row_numbers, const Tensor& place_numbers,
                                        Tensor& dx, Tensor* dweights) {
  const std::span<const int32_t> rows = Numbers(row_numbers), places = Numbers(place_numbers);
  CheckPlaces(x, weights, rows, places, dout);
  RETORT_CHECK(dx.shape() == x.shape() && (!dweights || dweights->shape() == weights.shape()));
  for (size_t i = 0; i < rows.size(); ++i) {
    double dot = 0;
    for (int64_t c = 0; c < x.cols(); ++c) {
      const int64_t at = static_cast<int64_t>(i) * x.cols() + c;
      const double d = dout.data<double>()[rows[i] * x.cols() + c];
      dx.data<double>()[at] = weights.data<double>()[places[i]] * d;
      dot += d * x.data<double>()[at];
    }
    if (dweights) dweights->data<double>()[places[i]] += dot;
  }
}

}  // namespace retort
