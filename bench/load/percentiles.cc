// SPDX-License-Identifier: Apache-2.0
#include "bench/load/percentiles.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace retort {

Percentiles PercentilesOf(std::vector<double> values) {
  std::ranges::sort(values);
  const auto at = [&](double share, size_t least) -> std::optional<double> {
    if (values.size() < least) return std::nullopt;
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
    return values[std::max<size_t>(rank, 1) - 1];
  };
  return {at(0.50, 1), at(0.95, 20), at(0.99, 100)};
}

}  // namespace retort
