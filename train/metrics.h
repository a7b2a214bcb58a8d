// SPDX-License-Identifier: Apache-2.0
// metrics.jsonl: one JSON object per step, and {"step", "epoch", "eval_loss"} for each evaluation,
// in both the objective's further figures (in an evaluation with eval_ before the name). Numbers
// round-trip.
#pragma once

#include <optional>
#include <vector>

#include "base/file.h"
#include "train/event_file.h"
#include "train/trainer.h"

namespace retort {

struct MetricsLine {
  StepMetrics metrics;
  double tokens_per_second = 0;
  int64_t peak_bytes = 0;
  std::optional<double> eval_loss;  // set: an evaluation; of the rest, only step and epoch are used
};

class MetricsFile {
 public:
  // Opens for appending. Lines of steps after `step` are removed first (0: the file starts empty).
  // events: what is appended goes to TensorBoard's file in the same folder too, each number as
  // train/NAME or eval/NAME.
  MetricsFile(const Path& path, int64_t step, bool events);
  void Append(const MetricsLine& line);  // throws Error{kFailure} on a full disk

 private:
  std::optional<AppendFile> file_;
  std::optional<EventFile> events_;
};

// Throws Error{kInput} naming file and line.
std::vector<MetricsLine> ReadMetrics(const Path& path);

}  // namespace retort
