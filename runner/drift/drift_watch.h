// SPDX-License-Identifier: Apache-2.0
// A watch for models that go on answering, but otherwise than they did: the last answers of a
// server beside a baseline, as metrics.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runner/drift/baseline.h"

namespace retort {

struct DriftOptions {
  std::optional<DriftBaseline> baseline;
  // Instead of a baseline: the file that gets one, of the first `window` answers. Those after them
  // are compared with it.
  Path record;
  std::vector<std::string> refusals;  // with `record`: the phrases, in lower case
  int64_t window = 1000;              // answers that are looked at
  // Told when the file has been written, or could not be.
  std::function<void(const std::string& note)> on_recorded;

  bool on() const { return baseline || !record.empty(); }
};

// Thread-safe. Keeps `window` answers' figures, and no more.
class DriftWatch {
 public:
  // Of fewer answers there is neither a score nor a baseline.
  static constexpr int64_t kLeastAnswers = 50;

  // model: its name. Throws Error{kInput} if the window is too small.
  DriftWatch(DriftOptions options, std::string model);

  bool on() const { return on_; }
  void Add(const ApiChoice& choice);
  // Records what there is, if nothing has been yet: the server ends.
  void Finish();
  // In Prometheus's text format; "" if there is nothing to watch.
  std::string Text() const;

 private:
  void Record();

  const std::string model_;
  const bool on_;
  mutable std::mutex mutex_;
  DriftOptions options_;
  std::vector<AnswerFigures> answers_;  // a ring
  size_t next_ = 0;
};

}  // namespace retort
