// SPDX-License-Identifier: Apache-2.0
// Makes small models with random weights in memory.
#pragma once

#include <memory>

#include "model/model.h"

namespace retort {

// Two layers, four query heads that share two key heads, and widths that are not powers of two.
DenseConfig SmallConfig(int64_t vocab);

// The linear layer with this name, which must exist.
LinearId LinearNamed(const Layout& layout, std::string_view name);

// All weights are normal with deviation `spread` / sqrt(inputs); norms are near 1. The head is tied
// or not, as in the config. A spread well above 1 gives tokens clearly different probabilities.
// Matrices that may be stored as NF4 have `format`, the others f32.
std::unique_ptr<Model> RandomModel(const Architecture& config, uint64_t seed, Backend& backend,
                                   double spread = 1, WeightFormat format = WeightFormat::kF32);

// An adapter on the model with random values of 0.1 or so; gains, magnitudes and biases near 1.
std::unique_ptr<Adapter> RandomAdapter(const AdapterConfig& config, const Model& model,
                                       uint64_t seed);

}  // namespace retort
