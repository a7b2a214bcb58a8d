// SPDX-License-Identifier: Apache-2.0
// How much work a token is: what a rate is turned into a share of the machine's limit with.
#pragma once

#include <cstdint>

#include "model/model.h"

namespace retort {

// N: the parameters used in matrix products, which are the blocks' linear layers (of experts those
// that a token uses) and the head (tied or not). Embedding look-ups, norms, biases and adapters do
// not count.
int64_t MatrixParameters(const Architecture& architecture);

// Of the blocks' linear layers alone: what prefill multiplies for every token, the head being
// needed for the last one only.
int64_t BlockParameters(const Architecture& architecture);

// Bytes that one step of decoding reads from memory: every matrix once, and for each of
// `sequences` the keys and values of `context` tokens (of a sliding window at most its width).
double DecodeBytes(const Model& model, DType cache_type, int64_t sequences, double context);

}  // namespace retort
