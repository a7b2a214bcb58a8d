// SPDX-License-Identifier: Apache-2.0
// What a run will need, found without training: lengths of the rows, memory, time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "session/session.h"

namespace retort {

// Lengths of the training rows in tokens. A preference row counts as its two answers.
struct LengthFacts {
  int64_t rows = 0, shortest = 0, median = 0, p95 = 0, p99 = 0, longest = 0;
  // Rows of begin ... end - 1 tokens.
  struct Bin {
    int64_t begin, end, rows;
  };
  std::vector<Bin> bins;  // begin is a power of two, end the next; only those with rows
};
LengthFacts LengthsOf(std::vector<int64_t> lengths);
// Of the training rows as they are, longer than data.max_tokens ones too. Tokenises them.
LengthFacts RowLengths(const Recipe& recipe, const ModelFiles& files, const OpenWork& work);
// The same of rows that are open; nullopt if some of them were too long, and are not known whole.
std::optional<LengthFacts> RowLengths(const OpenedRecipe& opened);

struct MemoryPlan {
  TrainingSession::Memory counted;
  // Activations, gradients and workspaces at the peak.
  int64_t activations() const {
    return counted.peak - counted.weights - counted.trained - counted.optimizer;
  }
  // The expected maximum of the process's resident memory.
  int64_t process = 0;
  std::vector<std::string> description;  // TrainingSession::Describe
  int64_t steps = 0, tokens = 0;         // of what was counted, from the first step
  int64_t total_steps = 0;               // of the run
  bool complete() const { return steps == total_steps; }
  // Of the run's tokens; an estimate if not complete().
  double total_tokens() const {
    return static_cast<double>(tokens) / static_cast<double>(steps) *
           static_cast<double>(total_steps);
  }
};
// Runs the steps and one evaluation with a backend that allocates and does not compute
// (BackendOptions::counting), for about `seconds` but one step at least. Only generation for
// metrics and samples is left out. If complete(), `counted.peak` equals the peak_bytes in the run's
// summary.json, which leaves out a teacher's own device.
MemoryPlan PlanMemory(const OpenedRecipe& opened, double seconds);

// Changes of the recipe that save memory, as texts of --set, each with the process's memory after
// it and those before it: as many as it takes to stay below `limit` bytes, or all that Retort
// knows.
struct Saving {
  std::string set;
  int64_t process;
};
std::vector<Saving> SavingsFor(const OpenedRecipe& opened, int64_t limit);

struct TimePlan {
  int64_t steps = 0;  // that were timed, after one that was not
  double tokens_per_second = 0;
  double seconds = 0;  // of the whole run's steps, without evaluations
};
// Takes some steps of the run; nothing of them is kept.
TimePlan PlanTime(const OpenedRecipe& opened, const MemoryPlan& memory);

}  // namespace retort
