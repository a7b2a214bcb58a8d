// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "tensor/host_routing.h"
#include "tensor/reference/reference_backend.h"

namespace retort {

namespace {

void Scores(RouteRule::Score kind, const double* z, int64_t count, double* s) {
  const double top = *std::max_element(z, z + count);
  double sum = 0;
  for (int64_t e = 0; e < count; ++e) sum += std::exp(z[e] - top);
  for (int64_t e = 0; e < count; ++e) {
    s[e] =
        kind == RouteRule::Score::kSoftmax ? std::exp(z[e] - top) / sum : 1 / (1 + std::exp(-z[e]));
  }
}

// What the choice goes by: scores with the bias, and -infinity in the groups that are left out.
std::vector<double> Merits(const RouteRule& rule, const double* s, int64_t count) {
  std::vector<double> merits(s, s + count);
  if (rule.bias) {
    for (size_t e = 0; e < merits.size(); ++e) merits[e] += rule.bias.data<double>()[e];
  }
  const int64_t size = count / rule.groups;
  std::vector<std::pair<double, int>> groups;
  for (int g = 0; g < rule.groups; ++g) {
    std::vector<double> own(merits.begin() + g * size, merits.begin() + (g + 1) * size);
    std::sort(own.rbegin(), own.rend());
    const bool two = rule.group_score == RouteRule::GroupScore::kBestTwo && size > 1;
    groups.emplace_back(two ? own[0] + own[1] : own[0], g);
  }
  std::stable_sort(groups.begin(), groups.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  for (size_t g = static_cast<size_t>(rule.used_groups); g < groups.size(); ++g) {
    const auto begin = merits.begin() + groups[g].second * size;
    std::fill(begin, begin + size, -std::numeric_limits<double>::infinity());
  }
  return merits;
}

}  // namespace

void ReferenceBackend::Route(const RouteRule& rule, const Tensor& logits, Tensor& scores,
                             Tensor& experts, Tensor& weights) {
  CheckRoute(rule, logits, scores, experts, weights);
  const int64_t count = logits.cols();
  for (int64_t t = 0; t < logits.rows(); ++t) {
    double* s = scores.data<double>() + t * count;
    Scores(rule.score, logits.data<double>() + t * count, count, s);
    const std::vector<double> merits = Merits(rule, s, count);

    std::vector<int32_t> order(static_cast<size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return merits[static_cast<size_t>(a)] > merits[static_cast<size_t>(b)];
    });
    double chosen = 0;
    for (int j = 0; j < rule.used; ++j) chosen += s[order[static_cast<size_t>(j)]];
    for (int j = 0; j < rule.used; ++j) {
      const int32_t e = order[static_cast<size_t>(j)];
      experts.data<int32_t>()[t * rule.used + j] = e;
      weights.data<double>()[t * rule.used + j] =
          rule.scale * (rule.renormalise ? s[e] / chosen : s[e]);
    }
  }
}

// The chain rule through both steps. The weights w_j = c s_j / S, S the sum over the chosen
// experts, give ds_j = c (dw_j - sum_i dw_i s_i / S) / S; without renormalisation ds_j = c dw_j; ds
// is 0 for experts not chosen. The softmax gives dz_e += s_e (ds_e - sum_i s_i ds_i), the sigmoid
// dz_e += s_e (1 - s_e) ds_e.
void ReferenceBackend::RouteGrad(const RouteRule& rule, const Tensor& dweights,
                                 const Tensor& scores, const Tensor& experts, Tensor& dlogits) {
  CheckRoute(rule, dlogits, scores, experts, dweights);
  const int64_t count = dlogits.cols();
  for (int64_t t = 0; t < dlogits.rows(); ++t) {
    const double* s = scores.data<double>() + t * count;
    const double* dw = dweights.data<double>() + t * rule.used;
    const int32_t* chosen = experts.data<int32_t>() + t * rule.used;
    double sum = 0, weighted = 0;
    for (int j = 0; j < rule.used; ++j) sum += s[chosen[j]], weighted += dw[j] * s[chosen[j]];
    std::vector<double> ds(static_cast<size_t>(count));
    for (int j = 0; j < rule.used; ++j) {
      ds[static_cast<size_t>(chosen[j])] =
          rule.scale * (rule.renormalise ? (dw[j] - weighted / sum) / sum : dw[j]);
    }
    const double mean = std::inner_product(ds.begin(), ds.end(), s, 0.0);
    for (int64_t e = 0; e < count; ++e) {
      const double d = ds[static_cast<size_t>(e)];
      dlogits.data<double>()[t * count + e] +=
          s[e] * (rule.score == RouteRule::Score::kSoftmax ? d - mean : (1 - s[e]) * d);
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
