// SPDX-License-Identifier: Apache-2.0
// Reads recipes: JSON with comments. Every key and value is checked against one table (keys.h).
//
// Errors are Error{kInput}, one line that names the file, the line, the key and the expectation:
//   recipe.json:12: key 'train.lrr' is not known; did you mean 'train.lr'?
//   recipe.json:12: 'train.lr' must be a number above 0, not -1
//   --set train.lr=-1: 'train.lr' must be a number above 0, not -1
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "recipes/recipe.h"

namespace retort {

// `overrides` are the arguments of --set, "train.lr=1e-4". A value is read as JSON or, if that does
// not fit, as text. null resets the key (or all keys of a section) to its default. train.steps
// removes train.epochs and the other way round. Relative paths start at the recipe file's folder,
// those in overrides at the current folder.
Recipe ReadRecipe(const Path& file, const std::vector<std::string>& overrides = {});

// The same for a text. Errors begin with `where`. Relative paths start at `folder`.
Recipe ParseRecipe(std::string_view text, const std::string& where, const Path& folder,
                   const std::vector<std::string>& overrides = {});

// All keys with their values, including defaults, with absolute paths. Reading it gives the same
// recipe.
Json ResolvedJson(const Recipe& recipe);

// The keys ("train.lr") whose resolved values differ, in the table's order.
std::vector<std::string> ChangedKeys(const Recipe& a, const Recipe& b);

// The published JSON Schema (recipe.schema.json): structure, types, ranges, sets and defaults. The
// reader additionally rejects combinations of values that do not fit together.
Json RecipeSchema();

}  // namespace retort
