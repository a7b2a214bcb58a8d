// SPDX-License-Identifier: Apache-2.0
// The progress of tokenising a recipe's rows.
#pragma once

#include <chrono>
#include <optional>

#include "cli/progress.h"
#include "session/open_data.h"

namespace retort {

// How a command opens its data: with a bar, unless it takes less than a second.
class RowsProgress {
 public:
  // keep: OpenWork::keep.
  OpenWork Work(bool keep);

 private:
  void Show(int64_t done, int64_t rows);

  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::optional<ProgressBar> bar_;
};

}  // namespace retort
