// SPDX-License-Identifier: Apache-2.0
// Percentiles of measured times.
#pragma once

#include <optional>
#include <vector>

namespace retort {

// Absent where there are too few values: below 20 for p95, and below 100 for p99, it would be the
// largest value alone.
struct Percentiles {
  std::optional<double> p50, p95, p99;
};

// Each by the nearest rank.
Percentiles PercentilesOf(std::vector<double> values);

}  // namespace retort
