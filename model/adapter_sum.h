// SPDX-License-Identifier: Apache-2.0
// Several adapters on one base: their changes, each times a weight, are added.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/adapter.h"

namespace retort {

struct WeightedAdapter {
  Path folder;  // in PEFT's layout
  double weight = 1;
};

// "FOLDER" or "FOLDER=WEIGHT", where FOLDER is an adapter's or that of its run; a folder that is
// there with such a name is meant whole. Throws Error{kInput} for a weight that is no number, 0, or
// too large for an f32.
WeightedAdapter ParseWeightedAdapter(const std::string& text);

// The sum of the adapters' changes, sum of w s B A, as one adapter whose factors hold those of all:
// exact, as PEFT's add_weighted_adapter with combination_type "cat". A single one of weight 1 is
// loaded as it is. Throws Error{kInput} for what cannot be added: magnitudes beside another
// adapter, and tensors that stand in the place of the base's, of two adapters or with a weight, or
// beside another's change of the same layer; and for an adapter that is given twice.
std::unique_ptr<Adapter> LoadAdapters(const std::vector<WeightedAdapter>& adapters,
                                      const Layout& layout, Backend& backend,
                                      const AdapterBase& base);

}  // namespace retort
