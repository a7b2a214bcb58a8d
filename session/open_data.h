// SPDX-License-Identifier: Apache-2.0
// A recipe's rows, as token ids and loss masks of its model.
#pragma once

#include <memory>
#include <optional>

#include "data/examples.h"
#include "model/load.h"
#include "recipes/recipe.h"

namespace retort {

struct RecipeData {
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat;  // where rows are conversations
  std::string chat_name;             // of that template; "" without
  Rows rows;                         // the training rows, to be named in errors
  ExampleSet train, eval;            // eval is empty where the recipe has none
};

// Throws Error{kInput} for whatever in the data cannot be used.
RecipeData OpenRecipeData(const Recipe& recipe, const ModelFiles& files);

// How the recipe's rows become examples for a model of that many positions.
ExampleOptions ExampleOptionsOf(const DataRecipe& recipe, int64_t max_positions);
// "train.jsonl:17" of an example, for errors.
std::string WhereOf(const RecipeData& data, const Example& example);

}  // namespace retort
