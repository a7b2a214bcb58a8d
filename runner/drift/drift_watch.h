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
  std::vector<std::string> refusals;  // with `record`: the phrases, folded
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

  // Runs a job on a thread that may wait for a disk.
  using Post = std::function<void(std::function<void()> job)>;

  // model: its name. Throws Error{kInput} if the window is too small.
  DriftWatch(DriftOptions options, std::string model, Post post);

  bool on() const { return on_; }
  void Add(const ApiChoice& choice);
  // Another model answers from now on: a baseline that is not there yet is of its answers alone.
  void OnNewModel();
  // Records what there is, if nothing has been yet: the server ends.
  void Finish();
  // In Prometheus's text format; "" if there is nothing to watch.
  std::string Text() const;

 private:
  // True: there is a baseline now, to be written.
  bool Keep(const AnswerFigures& figures);
  void Record();
  // Writes the baseline, unless that has been done. One that another thread writes is there when
  // this returns.
  void Write();

  const std::string model_;
  const bool on_;
  const Post post_;
  const std::vector<std::string> refusals_;
  std::mutex writing_;        // held while the file is written; taken before mutex_
  mutable std::mutex mutex_;  // held for no longer than a few sums take
  DriftOptions options_;
  std::vector<AnswerFigures> answers_;  // a ring
  size_t next_ = 0;
  DriftSums sums_;                   // of `answers_`
  std::optional<size_t> unwritten_;  // of how many answers the baseline is that is not written yet
};

}  // namespace retort
