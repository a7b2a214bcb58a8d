// SPDX-License-Identifier: Apache-2.0
// Linear layers and norms of a model, by id: weights frozen or trained, biases, adapters.
#pragma once

#include <array>
#include <span>

#include "model/pass.h"

namespace retort {

// y[i] = x W_i^T + bias_i + the adapter's, of layers that share x. At most four.
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

// Whether nothing but the frozen weight takes part: no bias, adapter, observer or gradient.
bool IsBare(const PassContext& run, LinearId id);

// x / rms(x) * gain over rows of the gain's size: of all of x, or of each head of it.
Var Norm(const PassContext& run, GainId gain, const Var& x);

}  // namespace retort
