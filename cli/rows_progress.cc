// SPDX-License-Identifier: Apache-2.0
#include "cli/rows_progress.h"

#include <algorithm>

namespace retort {

OpenWork RowsProgress::Work(bool keep) {
  return {keep, [this](int64_t done, int64_t rows) { Show(done, rows); }};
}

void RowsProgress::Show(int64_t done, int64_t rows) {
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  if (!bar_ && (seconds < 1 || done == rows)) return;
  if (!bar_) bar_.emplace("tokenise");
  const double left =
      seconds * static_cast<double>(rows - done) / static_cast<double>(std::max<int64_t>(1, done));
  bar_->Update(done, rows, {{DurationText(left) + " left", 1}});
  if (done == rows) bar_.reset();
}

}  // namespace retort
