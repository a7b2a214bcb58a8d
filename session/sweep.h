// SPDX-License-Identifier: Apache-2.0
// The runs of a search over settings, and how they compare.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "recipes/recipe.h"

namespace retort {

// A key of the recipe and the values that are tried for it, as --set takes them.
struct SweepKey {
  std::string key;
  std::vector<std::string> values;
};
// "train.lr=3e-4,1e-3", or a JSON list for values with commas. Throws Error{kInput}.
SweepKey ParseSweepKey(const std::string& text);

// The settings of each run, as arguments of --set: all combinations in order, the last key varying
// fastest, or `trials` of them (0: all) drawn without repetition; which depends on the seed alone.
std::vector<std::vector<std::string>> SweepRuns(const std::vector<SweepKey>& keys, int64_t trials,
                                                uint64_t seed);

// The figure by which the runs of these recipes are compared ('train.best_by'). Throws
// Error{kInput} if they have no held-out rows, or are not measured alike: by another figure or on
// other rows.
std::string ComparedBy(const std::vector<Recipe>& recipes);

// What has come of a run.
struct SweepResult {
  size_t run = 0;                // from 0
  std::optional<double> loss;    // on held-out rows, of the best evaluation; empty: none
  std::optional<double> figure;  // that by which the best is chosen, if not the loss
  double seconds = 0;
  std::string fault;  // why it has no result; "" if it has
};
// Reads summary.json of the run's folder. by: "loss" or another figure's name. status: of the
// training's process; what a training that failed has left there is no result of this sweep.
SweepResult ReadSweepResult(const Path& folder, size_t run, const std::string& by, int status);

// Best first: the highest figure, then the lowest loss; those without a result last.
void SortResults(std::vector<SweepResult>& results);

// One line for each result, and one of headings.
std::vector<std::string> SweepTable(const std::vector<SweepResult>& results,
                                    const std::vector<std::vector<std::string>>& runs,
                                    const std::string& by);

}  // namespace retort
