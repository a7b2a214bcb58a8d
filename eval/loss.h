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
  int64_t likely =
      0;  // of an example, 1 when its answer as a whole has a probability above one half
  double mean() const { return tokens > 0 ? sum / static_cast<double>(tokens) : 0; }
};

// `on_progress` is told how many examples are done. adapter may be null.
LossTotal EvaluateLoss(const Model& model, const Adapter* adapter,
                       const std::vector<Example>& examples, int64_t batch_tokens = 2048,
                       const std::function<void(int64_t done)>& on_progress = {});

// Calls `body` with the examples in order, in batches of at most `batch_tokens` tokens (a longer
// example is a batch of its own).
void ForEachBatch(const std::vector<Example>& examples, int64_t batch_tokens,
                  const std::function<void(const std::vector<const Example*>& batch)>& body);

// A loss for every example, in order.
std::vector<LossTotal> ExampleLosses(const Model& model, const Adapter* adapter,
                                     const std::vector<const Example*>& examples);

}  // namespace retort
