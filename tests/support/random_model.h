// SPDX-License-Identifier: Apache-2.0
// Small models with random weights, made in memory.
#pragma once

#include <memory>

#include "model/model.h"

namespace retort {

// Two layers, four query heads that share two key heads, widths that are no powers of two.
DenseConfig SmallConfig(int64_t vocab);

// The linear layer of that name. There must be one.
LinearId LinearNamed(const Layout& layout, std::string_view name);

// Every weight normal with deviation 1/sqrt(inputs) times `spread`, norms near 1, the head its own
// or tied as the config says. A spread well above 1 makes likely tokens stand out.
std::unique_ptr<Model> RandomModel(const Architecture& config, uint64_t seed, Backend& backend,
                                   double spread = 1);

}  // namespace retort
