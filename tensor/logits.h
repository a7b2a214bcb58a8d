// SPDX-License-Identifier: Apache-2.0
// Passes over one row of logits in the host's memory, for sampling. Per-block results let the
// sampler look closely at few blocks. Implemented in tensor/cpu/logits.cc, whatever device computed
// the logits.
#pragma once

#include <span>

#include "tensor/isa.h"

namespace retort {

inline constexpr size_t kLogitsBlock = 128;
constexpr size_t LogitsBlocks(size_t logits) { return (logits + kLogitsBlock - 1) / kLogitsBlock; }

// most [LogitsBlocks] = the largest of each block, -infinity where none is larger. Returns false if
// any is NaN; a NaN is never the largest.
bool BlockMaxima(Isa isa, std::span<const float> logits, std::span<float> most);

// weights = exp((logits - highest) * factor), sums [LogitsBlocks] = each block's sum of them.
// `factor` is positive and finite.
void ExpWeights(Isa isa, std::span<const float> logits, float highest, float factor,
                std::span<float> weights, std::span<float> sums);

}  // namespace retort
