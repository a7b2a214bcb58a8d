// SPDX-License-Identifier: Apache-2.0
// What modules share: a model's linear layers and norms by id (weights frozen or trained, biases,
// adapters), and the cache of keys and values.
#pragma once

#include <array>
#include <functional>
#include <span>

#include "model/pass.h"

namespace retort {

// y[i] = x W_i^T + bias_i + the adapter's term, for at most four layers that share x. For rows of
// several adapters, the product with W_i is computed once for all of them.
void Project(const PassContext& run, std::span<const LinearId> ids, const Var& x, std::span<Var> y);

template <size_t N>
std::array<Var, N> Project(const PassContext& run, const std::array<LinearId, N>& ids,
                           const Var& x) {
  std::array<Var, N> y;
  Project(run, ids, x, y);
  return y;
}
inline Var Project(const PassContext& run, LinearId id, const Var& x) {
  return Project(run, std::array{id}, x)[0];
}

// Where rows of several adapters have no step in common: forward for the rows of each, and the
// results, of x's shape, below each other.
Var ByAdapter(const PassContext& run, const Var& x,
              const std::function<Var(const PassContext& own, const Var& x)>& forward);

// True if only a frozen weight is involved: no bias, adapter, linear-input observer or tape.
bool IsBare(const PassContext& run, LinearId id);

// Stores the pass's keys and values in its cache, of which they become the pages; without a cache
// they stay the batch's own.
void ThroughCache(const PassContext& run, int64_t layer, Var& keys, Var& values);

// x normalised over runs of the norm's width: whole rows of x, or each head in them.
Var Norm(const PassContext& run, const NormLayer& norm, const Var& x);

}  // namespace retort
