// SPDX-License-Identifier: Apache-2.0
// Held-out loss: the total token loss over the number of tokens that carry loss.
#pragma once

#include <functional>
#include <vector>

#include "data/examples.h"
#include "model/model.h"

namespace retort {

struct LossTotal {
  double sum = 0;      // natural-log units
  int64_t tokens = 0;  // that carry loss
  // The number of examples whose whole answer has a probability above one half.
  int64_t likely = 0;
  int64_t odd_row = -1;  // Example::row of the first whose loss is not a finite number; -1: none
  double mean() const { return tokens > 0 ? sum / static_cast<double>(tokens) : 0; }
};

// Calls `on_progress` with the number of examples done. adapter may be null.
LossTotal EvaluateLoss(const Model& model, const Adapter* adapter, const Examples& examples,
                       int64_t batch_tokens = 2048,
                       const std::function<void(int64_t done)>& on_progress = {});

// Calls `body` with the examples in order, in batches of at most `batch_tokens` tokens (a longer
// example gets its own batch).
void ForEachBatch(const Examples& examples, int64_t batch_tokens,
                  const std::function<void(const std::vector<const Example*>& batch)>& body);

// The loss of each example, in order.
std::vector<LossTotal> ExampleLosses(const Model& model, const Adapter* adapter,
                                     const std::vector<const Example*>& examples);

}  // namespace retort
