// SPDX-License-Identifier: Apache-2.0
// The table of a recipe's keys, one entry per key. The reader, the resolved recipe and the
// published schema are derived from it. A new key needs a member in recipe.h and a line in keys.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "recipes/recipe.h"
#include "recipes/shape.h"

namespace retort {

// What a run that is resumed makes of another value than the recipe had that began it.
enum class OnResume : uint8_t {
  kRefused,  // it would be another run
  kAllowed,  // it does not change the steps
  kLength,   // it changes how many steps there are
};

struct RecipeKey {
  std::string name;  // "train.lr"; the part before the dot is its section
  std::string help;  // one sentence
  Shapes shapes;
  bool required = false;
  OnResume on_resume = OnResume::kRefused;
  std::string rival;  // a key that cannot be given beside this one; "": none

  // Stores a value that fits the shapes. Relative paths start at `folder`.
  std::function<void(const Json& value, const Path& folder, Recipe&)> store;
  // The value for the resolved recipe; null: not written (an empty path, or whichever of steps and
  // epochs is unused).
  std::function<Json(const Recipe&)> load;

  std::string section() const;  // "train"; "" for keys at the top level
  std::string leaf() const;     // "lr"
};

// Null if there is none of this name.
const RecipeKey* FindRecipeKey(std::string_view name);

// All keys, in the order of the resolved recipe.
const std::vector<RecipeKey>& RecipeKeys();

}  // namespace retort
