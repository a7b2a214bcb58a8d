// SPDX-License-Identifier: Apache-2.0
#include "cli/rate_progress.h"

#include <algorithm>

#include "base/strings.h"

namespace retort {

void RateProgress::Update(int64_t done, const std::vector<ProgressItem>& more) {
  if (done == 0) return;
  const auto now = std::chrono::steady_clock::now();
  std::vector<ProgressItem> items;
  if (start_ && done > start_->done) {
    const double seconds = std::chrono::duration<double>(now - start_->time).count();
    const double rate = static_cast<double>(done - start_->done) / std::max(seconds, 1e-3);
    items.push_back({Cat(CountText(rate), " ", unit_, "/s"), 1});
    items.push_back({DurationText(static_cast<double>(total_ - done) / rate) + " left", 0});
  }
  if (!start_) start_ = {done, now};
  items.insert(items.end(), more.begin(), more.end());
  bar_.Update(done, total_, items);
}

}  // namespace retort
