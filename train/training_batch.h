// SPDX-License-Identifier: Apache-2.0
// A micro-batch as a decoder is fed it.
#pragma once

#include <cstdint>
#include <vector>

#include "data/packing.h"
#include "model/batch.h"

namespace retort {

// rows: the places of the tokens that carry loss; logits at place rows[i] predict targets[i] (labels are shifted
// here, once).
struct TrainingBatch {
  Batch batch;
  std::vector<int32_t> rows, targets;
};
// The micro-batch as parts of whole rows, each of at most `tokens` tokens where its rows allow it. What is computed at
// once, and so how much memory activations take, is a part; gradients are summed all the same.
std::vector<MicroBatch> CutMicroBatch(const MicroBatch& micro, int64_t tokens);

TrainingBatch MakeTrainingBatch(const MicroBatch& micro);

}  // namespace retort
