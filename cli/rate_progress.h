// SPDX-License-Identifier: Apache-2.0
// A bar for work whose time left is known from its rate.
#pragma once

#include <chrono>
#include <optional>

#include "cli/progress.h"

namespace retort {

class RateProgress {
 public:
  // unit: "rows", for "120 rows/s".
  RateProgress(const std::string& label, int64_t total, std::string unit)
      : bar_(label), unit_(std::move(unit)), total_(total) {}

  // The rate is that since the first call: what was done before it may be of an earlier session.
  // `more` is shown behind it.
  void Update(int64_t done, const std::vector<ProgressItem>& more = {});
  void operator()(int64_t done) { Update(done); }

 private:
  struct Start {
    int64_t done;
    std::chrono::steady_clock::time_point time;
  };

  ProgressBar bar_;
  std::string unit_;
  int64_t total_;
  std::optional<Start> start_;
};

}  // namespace retort
