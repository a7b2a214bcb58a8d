// SPDX-License-Identifier: Apache-2.0
// Products with a few int8 rows, one tile of them: weights lie in strips and stream from memory,
// each read once and as it lies. What happens to a strip's outputs meanwhile costs next to nothing.
// Needs CpuHasVnni().
#pragma once

#include <span>

#include "base/threads.h"
#include "tensor/cpu/int8_rows.h"
#include "tensor/cpu/products.h"

namespace retort {

bool Streams(const Int8Rows& x, std::span<const WeightProduct> products);
void StreamForward(ThreadPool& pool, Memory& memory, const Int8Rows& x,
                   std::span<WeightProduct> products);

// Of Backend::FeedForward.
struct FeedForwardWeights {
  const Weight &gate, &up, &down;
};
bool StreamsFeedForward(Isa isa, const FeedForwardWeights& w, int64_t rows, bool wide_input);
// In two rounds: a piece of the first makes 32 values of h of every row and quantises them for the
// second, to the same bits as one product after the other would.
void StreamFeedForward(ThreadPool& pool, Memory& memory, Isa isa, Activation activation,
                       const float* x, int64_t rows, const FeedForwardWeights& w, bool wide_input,
                       Tensor& y);

}  // namespace retort
