// SPDX-License-Identifier: Apache-2.0
// Models of any shape and weight format with random weights, made quickly in memory, for timing
// without a model file.
#pragma once

#include <memory>

#include "model/model.h"

namespace retort {

// A weight of small random values. A few rows are drawn and encoded; the others are copies of them.
// Speed is realistic because every row has its own memory. NF4 is double-quantised. Throws
// Error{kInput} when a row does not divide into the format's blocks.
Weight RandomWeight(WeightFormat format, int64_t rows, int64_t cols, uint64_t seed, Memory& memory);

// Linear layers of the blocks have format `weights`; norms are 1, biases 0. Embedding and head have
// EmbeddingFormat(weights): bf16 for nf4, q8_0 for q4_0, else the same format. `resident`: weights
// are prepared as for a runner (WeightUse: kRunning, lasting), else as for training.
std::unique_ptr<Model> MakeRandomModel(const Architecture& config, WeightFormat weights,
                                       Backend& backend, bool resident = false);

}  // namespace retort
