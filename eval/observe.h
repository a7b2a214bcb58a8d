// SPDX-License-Identifier: Apache-2.0
// Passes of a model over rows for the sake of what they show on the way.
#pragma once

#include <functional>
#include <vector>

#include "data/examples.h"
#include "model/model.h"

namespace retort {

struct ObserveOptions {
  int64_t batch_tokens = 2048;
  std::function<void(const Tensor& embeddings)> before;  // with each batch's, before its blocks
  std::function<void(int64_t done)> on_progress;         // examples
};

// Runs the decoder over all examples, in order. adapter may be null.
void Observe(const Model& model, const Adapter* adapter, const Examples& examples,
             const Observer& observer, const ObserveOptions& options);

}  // namespace retort
