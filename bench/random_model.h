// SPDX-License-Identifier: Apache-2.0
// Models of any shape and weight format with random weights, made in memory in a moment: what is
// timed when no file is given.
#pragma once

#include <memory>

#include "model/model.h"

namespace retort {

// A weight of small random values. A few rows are drawn and encoded, the others repeat them: each
// is memory of its own, which is what speed depends on, and the values stay harmless. NF4 is
// double-quantised. Throws Error{kInput} when a row does not divide into the format's blocks.
Weight RandomWeight(WeightFormat format, int64_t rows, int64_t cols, uint64_t seed, Memory& memory);

// Every linear layer of the blocks in `weights`, norms 1, biases 0. The embedding and the head are
// what Retort itself would give such a model: of nf4 bf16, of q4_0 q8_0, else the same format.
// `resident`: as a runner holds its weights (Backend::Resident).
std::unique_ptr<Model> MakeRandomModel(const Architecture& config, WeightFormat weights,
                                       Backend& backend, bool resident = false);

}  // namespace retort
