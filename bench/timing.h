// SPDX-License-Identifier: Apache-2.0
// Time, and what several measurements of one thing say together.
#pragma once

#include <chrono>
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

}  // namespace retort
