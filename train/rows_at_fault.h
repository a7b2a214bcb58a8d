// SPDX-License-Identifier: Apache-2.0
// Which rows of a step are to blame for its loss.
#pragma once

#include <functional>
#include <string>

#include "data/packing.h"
#include "model/model.h"

namespace retort {

// "train.jsonl:17" of an example.
using RowName = std::function<std::string(const Example&)>;

// The step's rows with the highest loss per token of their own, under the weights as they are and
// without dropout, worst first; those without a finite loss come before all others:
// "train.jsonl:17 (loss 35.2), train.jsonl:40 (loss 8.1)". "" if the step has none that carry loss.
std::string WorstRows(const Model& model, const Adapter* adapter, const StepBatch& step,
                      const RowName& name);

}  // namespace retort
