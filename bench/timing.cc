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

double MedianSeconds(const std::function<void()>& call, int64_t repeat,
                     const std::function<void()>& before) {
  constexpr double kStretchSeconds = 0.1;
  call();
  std::vector<double> seconds;
  for (int64_t i = 0; i < repeat; ++i) {
    before();
    const Stopwatch watch;
    int64_t calls = 0;
    do {
      call();
      ++calls;
    } while (watch.seconds() < kStretchSeconds);
    seconds.push_back(watch.seconds() / static_cast<double>(calls));
  }
  return SpreadOf(seconds).median;
}

}  // namespace retort
