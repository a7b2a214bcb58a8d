// SPDX-License-Identifier: Apache-2.0
#include "session/initial_adapter.h"

#include "base/error.h"

namespace retort {
namespace {

template <class T>
void RefuseOther(const AdapterRecipe& recipe, const char* key, const T& wanted, const T& held) {
  if (!recipe.given.contains(key) || wanted == held) return;
  throw InputError("'adapter.", key, "' is ", wanted, ", but 'adapter.init' ", recipe.init.string(),
                   " has ", held, "; leave 'adapter.", key,
                   "' out, or start without 'adapter.init'");
}

// Compared by the layers, since the same layers can be named in several ways.
void RefuseOtherLayers(const Adapter& adapter, const Layout& layout, const AdapterRecipe& recipe) {
  if (!recipe.given.contains("targets") && !recipe.given.contains("exclude")) return;
  AdapterConfig wanted = AdapterConfigOf(recipe);
  if (!recipe.given.contains("targets")) {
    wanted.targets = adapter.config().targets;
    wanted.target_pattern = adapter.config().target_pattern;
    wanted.layers = adapter.config().layers;
  }
  for (size_t id = 0; id < layout.linears.size(); ++id) {
    const bool has = adapter.at(static_cast<LinearId>(id)) != nullptr;
    if (Targets(wanted, layout.linears[id]) == has) continue;
    const char* key = recipe.given.contains("targets") ? "targets" : "exclude";
    throw InputError("'adapter.", key, "' ", has ? "leaves out " : "names ",
                     layout.linears[id].name, ", which 'adapter.init' ", recipe.init.string(),
                     has ? " adapts" : " does not adapt", "; leave 'adapter.", key,
                     "' out, or start without 'adapter.init'");
  }
}

// The adapted layers by their whole names: the recipe has no key for numbers of layers.
std::vector<std::string> AdaptedLayers(const Adapter& adapter, const Layout& layout) {
  std::vector<std::string> names;
  for (size_t id = 0; id < layout.linears.size(); ++id) {
    if (adapter.at(static_cast<LinearId>(id))) names.push_back(layout.linears[id].name);
  }
  return names;
}

}  // namespace

AdapterConfig AdapterConfigOf(const AdapterRecipe& recipe) {
  AdapterConfig config;
  config.rank = recipe.rank;
  config.alpha = recipe.alpha;
  config.dropout = recipe.dropout;
  config.rslora = recipe.rslora;
  config.targets = recipe.targets.suffixes;
  if (!recipe.targets.regex.empty()) config.target_pattern = recipe.targets.regex;
  config.exclude = recipe.exclude.suffixes;
  config.exclude_pattern = recipe.exclude.regex;
  return config;
}

void TakeInitialAdapter(Adapter& adapter, const Layout& layout, AdapterRecipe& recipe) {
  AdapterConfig& config = adapter.config();
  RefuseOther(recipe, "rank", recipe.rank, config.rank);
  RefuseOther(recipe, "alpha", recipe.alpha, config.alpha);
  RefuseOther(recipe, "rslora", recipe.rslora, config.rslora);
  RefuseOtherLayers(adapter, layout, recipe);
  if (recipe.given.contains("dropout")) config.dropout = recipe.dropout;
  recipe.rank = config.rank;
  recipe.alpha = config.alpha;
  recipe.dropout = config.dropout;
  recipe.rslora = config.rslora;
  recipe.targets = {config.targets, config.targets.empty() && config.target_pattern != "all-linear"
                                        ? config.target_pattern
                                        : ""};
  recipe.exclude = {config.exclude, config.exclude_pattern};
  if (!config.layers.empty()) recipe.targets = {AdaptedLayers(adapter, layout), ""};
}

}  // namespace retort
