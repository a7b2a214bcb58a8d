// SPDX-License-Identifier: Apache-2.0
// What training takes for models of any size, counted from their configuration alone.
#pragma once

#include <string>
#include <vector>

#include "session/plan.h"

namespace retort {

// A way to train: how the base is stored, and the recipe's keys for it.
struct TableColumn {
  std::string name;  // "LoRA, bf16"
  WeightFormat stored;
  std::vector<std::string> settings;
};
// An adapter on a base in f32, bf16, q8_0 and nf4, and every weight.
const std::vector<TableColumn>& TableColumns();

// The recipe that a table is made for: one row of data.max_tokens tokens in a micro-batch, and
// activations recomputed block by block, unless `settings` (texts of --set) say otherwise. Throws
// Error{kInput} for keys that say nothing about memory, or that the columns set.
Recipe TableRecipe(const std::vector<std::string>& settings, const TableColumn& column);

// One step of training a model of this form. Nothing is read.
MemoryPlan PlanWithoutWeights(const Architecture& architecture, const Recipe& recipe,
                              WeightFormat stored);

}  // namespace retort
