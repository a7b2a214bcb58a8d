// SPDX-License-Identifier: Apache-2.0
// The table of a recipe's keys, one entry per key. The reader, the resolved recipe and the
// published schema are derived from it. A new key needs a member in recipe.h and a line in keys.cc.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "recipes/recipe.h"
#include "recipes/shape.h"

namespace retort {

struct RecipeKey {
  std::string name;  // "train.lr"; the part before the dot is its section
  std::string help;  // one sentence
  Shapes shapes;
  bool required = false;

  // Stores a value that fits the shapes. Relative paths start at `folder`.
  std::function<void(const Json& value, const Path& folder, Recipe&)> store;
  // The value for the resolved recipe; null: not written (an empty path, or whichever of steps and
  // epochs is unused).
  std::function<Json(const Recipe&)> load;

  std::string section() const;  // "train"; "" for keys at the top level
  std::string leaf() const;     // "lr"
};

// All keys, in the order of the resolved recipe.
const std::vector<RecipeKey>& RecipeKeys();

}  // namespace retort
