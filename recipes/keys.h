// SPDX-License-Identifier: Apache-2.0
// The table of a recipe's keys: one entry for each, from which the reader, the resolved recipe and
// the published schema all follow. A new key is a member in recipe.h and a line in keys.cc.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "recipes/recipe.h"
#include "recipes/shape.h"

namespace retort {

struct RecipeKey {
  std::string name;  // "train.lr"; its section is what stands before the dot
  std::string help;  // one sentence
  Shapes shapes;
  bool required = false;

  // Stores a value that fits the shapes; a relative path is taken from `folder`.
  std::function<void(const Json& value, const Path& folder, Recipe&)> store;
  // The value as the resolved recipe writes it; null: not written (an empty path, the one of
  // steps and epochs that is not in force).
  std::function<Json(const Recipe&)> load;

  std::string section() const;  // "train"; "" at the top
  std::string leaf() const;     // "lr"
};

// In the order in which they are written out.
std::vector<RecipeKey> RecipeKeys();

}  // namespace retort
