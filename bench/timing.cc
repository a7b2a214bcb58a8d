// SPDX-License-Identifier: Apache-2.0
#include "bench/timing.h"

#include <algorithm>

#include "base/error.h"

namespace retort {

Spread SpreadOf(std::vector<double> values) {
  RETORT_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

}  // namespace retort
