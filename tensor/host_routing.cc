// SPDX-License-Identifier: Apache-2.0
#include "tensor/host_routing.h"

#include "base/error.h"

namespace retort {

void CheckRoute(const RouteRule& rule, const Tensor& logits, const Tensor& scores,
                const Tensor& experts, const Tensor& weights) {
  const int64_t count = logits.cols();
  RETORT_CHECK(logits.shape() == scores.shape() && rule.used >= 1 && rule.groups >= 1 &&
                   count % rule.groups == 0 && rule.used_groups <= rule.groups &&
                   rule.used <= count / rule.groups * rule.used_groups &&
                   (!rule.bias || rule.bias.elements() == count) &&
                   experts.elements() == logits.rows() * rule.used &&
                   weights.elements() == experts.elements(),
               rule.used, " experts of ", logits.shape().text(), ", weights ",
               weights.shape().text());
}

std::span<const int32_t> Numbers(const Tensor& x) {
  return {x.data<int32_t>(), static_cast<size_t>(x.elements())};
}

void CheckPlaces(const Tensor& x, const Tensor& weights, std::span<const int32_t> rows,
                 std::span<const int32_t> places, const Tensor& out) {
  RETORT_CHECK(
      x.cols() == out.cols() && std::ssize(rows) == x.rows() && places.size() == rows.size(),
      rows.size(), " rows and ", places.size(), " places for ", x.shape().text(), " and ",
      out.shape().text());
  for (const int32_t r : rows)
    RETORT_CHECK(r >= 0 && r < out.rows(), "row ", r, " of ", out.rows());
  for (const int32_t p : places)
    RETORT_CHECK(p >= 0 && p < weights.elements(), "place ", p, " of ", weights.elements());
}

}  // namespace retort
