// SPDX-License-Identifier: Apache-2.0
// A stopwatch, and statistics of repeated measurements.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

namespace retort {

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

struct Spread {
  double median = 0, least = 0, most = 0;
};
// values: not empty. The median of an even number is the mean of the middle two.
Spread SpreadOf(std::vector<double> values);

// Median seconds of a short call, over `repeat` series of calls, each at least a tenth of a second
// long. The call is made once before as a warm-up; `before` is called before each series.
double MedianSeconds(
    const std::function<void()>& call, int64_t repeat, const std::function<void()>& before = [] {});

}  // namespace retort
