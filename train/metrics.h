// SPDX-License-Identifier: Apache-2.0
// metrics.jsonl: one object a step, and {"step", "eval_loss"} lines. Numbers round-trip.
#pragma once

#include <optional>
#include <vector>

#include "base/file.h"
#include "train/trainer.h"

namespace retort {

struct MetricsLine {
  StepMetrics metrics;
  double tokens_per_second = 0;
  int64_t peak_bytes = 0;
  std::optional<double> eval_loss;  // an eval line: only metrics.step counts beside it
};

class MetricsFile {
 public:
  // Opens for appending; lines after `step` are cut off first (0: the file starts empty).
  MetricsFile(const Path& path, int64_t step);
  void Append(const MetricsLine& line);  // throws Error{kFailure} on a full disk

 private:
  std::optional<AppendFile> file_;
};

// Throws Error{kInput} naming file and line.
std::vector<MetricsLine> ReadMetrics(const Path& path);

}  // namespace retort
