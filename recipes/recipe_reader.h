// SPDX-License-Identifier: Apache-2.0
// Recipes from files: JSON with comments, every key and value checked against one table (keys.h).
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

// `overrides` are the arguments of --set, "train.lr=1e-4". A value is read as JSON and, where that
// does not fit, taken as text; null takes the key out of the file, back to its default (of a
// section: all its keys); train.steps and train.epochs each displace the other. Relative paths are
// taken from the recipe file's folder, those in overrides from the current folder.
Recipe ReadRecipe(const Path& file, const std::vector<std::string>& overrides = {});

// The same from a text. `where` begins the errors; `folder` is where relative paths start.
Recipe ParseRecipe(std::string_view text, const std::string& where, const Path& folder,
                   const std::vector<std::string>& overrides = {});

// Every key with its value, defaults included, paths absolute. Reading it gives the same recipe.
Json ResolvedJson(const Recipe& recipe);

// The keys whose resolved values differ, "train.lr", in the table's order.
std::vector<std::string> ChangedKeys(const Recipe& a, const Recipe& b);

// The published JSON Schema (recipe.schema.json): structure, types, ranges, sets and defaults. The
// reader refuses more: values that do not go together.
Json RecipeSchema();

}  // namespace retort
