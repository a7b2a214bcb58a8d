// SPDX-License-Identifier: Apache-2.0
// The recipe's adapter section as an adapter's configuration, and what it says beside adapter.init.
#pragma once

#include "model/adapter.h"
#include "recipes/recipe.h"

namespace retort {

AdapterConfig AdapterConfigOf(const AdapterRecipe& recipe);

// For an adapter that was loaded from recipe.init. Its rank, alpha, scaling and layers are its own:
// throws Error{kInput} naming a key that the recipe gives and that says otherwise. Then fills the
// recipe's section with the adapter's values, so that the resolved recipe is true. Dropout is a
// setting of training: the recipe's if it is given, otherwise the adapter's.
void TakeInitialAdapter(Adapter& adapter, const Layout& layout, AdapterRecipe& recipe);

}  // namespace retort
