// SPDX-License-Identifier: Apache-2.0
// The work per token, which converts tokens per second to a fraction of the machine's limit.
#pragma once

#include <cstdint>

#include "model/model.h"

namespace retort {

// N: the number of parameters used in matrix products per token: the blocks' linear layers (of
// experts, those that a token uses) and the head (tied or not). Embedding look-ups, norms, biases
// and adapters do not count.
int64_t MatrixParameters(const Architecture& architecture);

// The same without the head: what prefill multiplies for every token, since only the last one needs
// the head.
int64_t BlockParameters(const Architecture& architecture);

// Bytes that one step of decoding reads from memory: every matrix once, and for each of `sequences`
// the keys and values of `context` tokens (at most the window in layers with a sliding window).
double DecodeBytes(const Model& model, DType cache_type, int64_t sequences, double context);

}  // namespace retort
