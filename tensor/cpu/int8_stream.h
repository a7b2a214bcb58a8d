// SPDX-License-Identifier: Apache-2.0
// Products with a few int8 rows, at most one tile. Weights are in strips, and each is read from
// memory once, sequentially. Memory bandwidth is the limit: work on a strip's outputs is almost
// free.
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

// The weights of Backend::FeedForward.
struct FeedForwardWeights {
  const Weight &gate, &up, &down;
};
bool StreamsFeedForward(Isa isa, const FeedForwardWeights& w, int64_t rows, bool wide_input);
// In two parallel passes. A piece of the first computes 32 values of h for every row and quantises
// them for the second. The result has the same bits as separate products.
void StreamFeedForward(ThreadPool& pool, Memory& memory, Isa isa, Activation activation,
                       const float* x, int64_t rows, const FeedForwardWeights& w, bool wide_input,
                       Tensor& y);

}  // namespace retort
