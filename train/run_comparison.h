// SPDX-License-Identifier: Apache-2.0
// A run beside others: those in the folders next to it that were trained on the same rows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"

namespace retort {

struct ComparedRun {
  std::string name;  // of its folder
  bool own = false, finished = false;
  std::string differs;  // "train.lr 0.001, adapter.rank 8": the keys that this run has otherwise
  std::string measure;  // what `held_out` is: "loss", "exact"
  int64_t steps = 0;
  double loss = 0;                 // of the last step
  std::optional<double> held_out;  // at its best evaluation, or so far
  double seconds = 0;
};

// The run in `folder` first, then the others, the best ones first, at most `most`. Runs whose
// files cannot be read are left out. Empty if there is no other run.
std::vector<ComparedRun> RunsBeside(const Path& folder, size_t most = 12);

}  // namespace retort
