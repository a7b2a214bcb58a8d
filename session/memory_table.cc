// SPDX-License-Identifier: Apache-2.0
#include "session/memory_table.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "model/unread.h"
#include "recipes/recipe_reader.h"
#include "session/defaults.h"

namespace retort {
namespace {

constexpr const char* kTableRecipe = R"({
  "model": {"path": "model"},
  "data": {"train": "rows"},
  "train": {"steps": 1, "batch_rows": 1, "gradient_checkpointing": "block"}})";

void CheckSetting(const std::string& setting) {
  const std::string key = setting.substr(0, setting.find('='));
  if (key == "model.weights" || key == "model.path" || key == "adapter.kind") {
    throw InputError("'", key, "' is what a table's rows and columns differ in; leave out --set ",
                     Quoted(key));
  }
  const bool known = key.starts_with("adapter.") || key.starts_with("train.") ||
                     key.starts_with("model.") || key == "data.max_tokens";
  if (!known) {
    throw InputError("'", key,
                     "' has no place in a table: it takes keys of adapter, train and model, and "
                     "data.max_tokens");
  }
}

// Rows of `tokens` different ids each, all of which carry loss.
RecipeData MadeRows(int64_t tokens, int64_t vocab) {
  Example row;
  for (int64_t t = 0; t < tokens; ++t) row.ids.push_back(static_cast<int32_t>(t % vocab));
  row.labels = row.ids;
  RecipeData data;
  data.train.examples = std::vector<Example>{row};
  data.train.rows = 1;
  data.train.tokens = tokens;
  data.train.loss_tokens = tokens - 1;
  data.train.distinct_ids = std::min(tokens, vocab);
  return data;
}

}  // namespace

const std::vector<TableColumn>& TableColumns() {
  static const std::vector<TableColumn> columns = {
      {"LoRA, f32", WeightFormat::kF32, {"model.weights=as-is"}},
      {"LoRA, bf16", WeightFormat::kBF16, {"model.weights=as-is"}},
      {"LoRA, q8_0", WeightFormat::kQ8_0, {"model.weights=as-is"}},
      {"LoRA, nf4", WeightFormat::kBF16, {"model.weights=nf4"}},
      {"every weight", WeightFormat::kBF16, {"model.weights=as-is", "adapter.kind=none"}},
  };
  return columns;
}

Recipe TableRecipe(const std::vector<std::string>& settings, const TableColumn& column) {
  std::vector<std::string> all;
  const bool adapter =
      std::ranges::find(column.settings, "adapter.kind=none") == column.settings.end();
  for (const std::string& setting : settings) {
    CheckSetting(setting);
    if (adapter || !setting.starts_with("adapter.")) all.push_back(setting);
  }
  std::ranges::copy(column.settings, std::back_inserter(all));
  return ParseRecipe(kTableRecipe, "table", ".", all);
}

MemoryPlan PlanWithoutWeights(const Architecture& architecture, const Recipe& recipe,
                              WeightFormat stored) {
  const int64_t tokens = std::min(recipe.data.max_tokens, architecture.max_positions);
  OpenedRecipe opened;
  opened.files = std::make_shared<const ModelFiles>(UnreadModel(architecture, stored));
  opened.data = std::make_shared<const RecipeData>(MadeRows(tokens, architecture.vocab));
  opened.recipe = WithDefaults(recipe, {1, tokens, architecture.width});
  return PlanMemory(opened, 0);
}

}  // namespace retort
