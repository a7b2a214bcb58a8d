// SPDX-License-Identifier: Apache-2.0
// Passes over one row of logits in host memory, for sampling. Per-block results let the sampler
// skip most blocks. Implemented in tensor/cpu/logits.cc for logits from any device.
#pragma once

#include <span>

#include "tensor/isa.h"

namespace retort {

inline constexpr size_t kLogitsBlock = 128;
constexpr size_t LogitsBlocks(size_t logits) { return (logits + kLogitsBlock - 1) / kLogitsBlock; }

// most [LogitsBlocks] = the largest logit of each block, at least -infinity. Returns false if any
// logit is NaN; NaNs are skipped by the maximum.
bool BlockMaxima(Isa isa, std::span<const float> logits, std::span<float> most);

// weights = exp((logits - highest) * factor); sums [LogitsBlocks] = the sum of each block's
// weights. `factor` is positive and finite.
void ExpWeights(Isa isa, std::span<const float> logits, float highest, float factor,
                std::span<float> weights, std::span<float> sums);

}  // namespace retort
