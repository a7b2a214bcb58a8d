// SPDX-License-Identifier: Apache-2.0
// Opens a recipe's data as token ids and loss masks for its model.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "data/examples.h"
#include "data/packing.h"
#include "model/model_files.h"
#include "recipes/recipe.h"

namespace retort {

inline constexpr uint64_t kMostSchema = uint64_t{4} << 20;  // bytes of a JSON Schema's file

struct RecipeData {
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat;  // if rows are conversations
  std::vector<int32_t> ends;         // the ids that the training rows teach as an end
  std::shared_ptr<const AnswerCheck> answer_check;  // null: the recipe has no schema
  Rows rows;                                        // the training rows, to name them in errors
  std::optional<Rows> eval_rows;  // the held-out rows, if the recipe has eval data
  ExampleSet train, eval;         // eval is empty without them
};

// How data is opened. Nothing of it changes what it is.
struct OpenWork {
  bool keep = true;  // false: nothing is written to the cache of rows
  // While rows are tokenised that are not in the cache.
  std::function<void(int64_t done, int64_t rows)> on_progress;
};

// Throws Error{kInput} when any of the data cannot be used.
RecipeData OpenRecipeData(const Recipe& recipe, const ModelFiles& files, const OpenWork& work = {});

// The rows that are trained, as prompts: their answers may be missing, and nothing is said of their
// length.
Rows OpenPrompts(const Recipe& recipe);

// The recipe with the folders of adapters where it names those of runs.
Recipe WithAdapterFolders(Recipe recipe);

// All that a recipe names, read and checked, except weights. Nothing of it changes later, so that
// several sessions may use it, one after the other.
struct OpenedRecipe {
  Recipe recipe;  // with every "auto" that depends on data and model replaced (defaults.h)
  std::shared_ptr<const ModelFiles> files;
  std::shared_ptr<const RecipeData> data;
};
// Throws Error{kInput} when the model or the data cannot be used.
OpenedRecipe OpenRecipe(const Recipe& recipe, const OpenWork& work = {});

// Options for making examples of the recipe's rows, for a model with max_positions positions.
ExampleOptions ExampleOptionsOf(const Recipe& recipe, int64_t max_positions);
// The source of each training example, and the sources' weights, for the stream of batches.
void DrawByWeight(const RecipeData& data, BatchOptions& options);
// "train.jsonl:17" of an example, for errors.
std::string WhereOf(const RecipeData& data, const Example& example);

}  // namespace retort
