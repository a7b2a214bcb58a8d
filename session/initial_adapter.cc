// SPDX-License-Identifier: Apache-2.0
#include "session/initial_adapter.h"

#include "base/error.h"
#include "base/text.h"
#include "model/adapter_targets.h"

namespace retort {
namespace {

template <class T>
std::string Told(const T& value) {
  return Cat(value);
}
template <class Number>
std::string Told(const std::map<std::string, Number>& values) {
  std::vector<std::string> parts;
  parts.reserve(values.size());
  for (const auto& [name, value] : values) parts.push_back(Cat(name, ": ", value));
  return values.empty() ? "none" : Quoted(Join(parts, ", "));
}

template <class T>
std::string Told(const std::vector<T>& values) {
  std::vector<std::string> parts;
  parts.reserve(values.size());
  for (const T& value : values) parts.push_back(Cat(value));
  return values.empty() ? "none" : Quoted(Join(parts, ", "));
}

std::vector<int64_t> AllTokens(const AdapterConfig& config) {
  std::vector<int64_t> out;
  for (const auto& [_, ids] : config.tokens) out.insert(out.end(), ids.begin(), ids.end());
  return out;
}

template <class T>
void RefuseOther(const AdapterRecipe& recipe, const char* key, const T& wanted, const T& held) {
  if (!recipe.given.contains(key) || wanted == held) return;
  throw InputError("'adapter.", key, "' is ", Told(wanted), ", but 'adapter.init' ",
                   recipe.init.string(), " has ", Told(held), "; leave 'adapter.", key,
                   "' out, or start without 'adapter.init'");
}

// Compared by the layers, since the same layers can be named in several ways.
void RefuseOtherLayers(const Adapter& adapter, const Layout& layout, const AdapterRecipe& recipe) {
  const auto& given = recipe.given;
  if (!given.contains("targets") && !given.contains("exclude") && !given.contains("layers")) return;
  AdapterConfig wanted = AdapterConfigOf(recipe);
  if (!recipe.given.contains("targets")) {
    wanted.targets = adapter.config().targets;
    wanted.target_pattern = adapter.config().target_pattern;
  }
  if (!recipe.given.contains("layers")) wanted.layers = adapter.config().layers;
  AdapterTargets targets(wanted);
  for (size_t id = 0; id < layout.linears.size(); ++id) {
    const AdapterSite* site = adapter.at(static_cast<LinearId>(id));
    const bool has = site && !site->of_parameter;
    if (targets.Has(layout.linears[id]) == has) continue;
    const char* key = given.contains("targets")   ? "targets"
                      : given.contains("exclude") ? "exclude"
                                                  : "layers";
    throw InputError("'adapter.", key, "' ", has ? "leaves out " : "names ",
                     layout.linears[id].name, ", which 'adapter.init' ", recipe.init.string(),
                     has ? " adapts" : " does not adapt", "; leave 'adapter.", key,
                     "' out, or start without 'adapter.init'");
  }
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
  if (recipe.targets.regex == kNoTargets) config.target_pattern = "";
  config.parameters = recipe.target_parameters;
  config.exclude = recipe.exclude.suffixes;
  config.exclude_pattern = recipe.exclude.regex;
  config.layers = recipe.layers;
  config.ranks = recipe.rank_pattern;
  config.alphas = recipe.alpha_pattern;
  config.dora = recipe.dora;
  config.lora_bias = recipe.lora_bias;
  config.bias = recipe.bias;
  config.saved_modules = recipe.modules_to_save;
  if (!recipe.trainable_tokens.empty()) config.tokens[""] = recipe.trainable_tokens;
  config.start = recipe.initialise;
  return config;
}

void TakeInitialAdapter(Adapter& adapter, const Layout& layout, AdapterRecipe& recipe) {
  AdapterConfig& config = adapter.config();
  RefuseOther(recipe, "rank", recipe.rank, config.rank);
  RefuseOther(recipe, "alpha", recipe.alpha, config.alpha);
  RefuseOther(recipe, "rslora", recipe.rslora, config.rslora);
  RefuseOther(recipe, "rank_pattern", recipe.rank_pattern, config.ranks);
  RefuseOther(recipe, "alpha_pattern", recipe.alpha_pattern, config.alphas);
  RefuseOther(recipe, "target_parameters", recipe.target_parameters, config.parameters);
  RefuseOther(recipe, "dora", recipe.dora, config.dora);
  RefuseOther(recipe, "lora_bias", recipe.lora_bias, config.lora_bias);
  RefuseOther(recipe, "bias", recipe.bias, config.bias);
  RefuseOther(recipe, "modules_to_save", recipe.modules_to_save, config.saved_modules);
  RefuseOther(recipe, "trainable_tokens", recipe.trainable_tokens, AllTokens(config));
  RefuseOther(recipe, "initialise", recipe.initialise, config.start);
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
  recipe.layers = config.layers;
  recipe.rank_pattern = config.ranks;
  recipe.alpha_pattern = config.alphas;
  recipe.dora = config.dora;
  recipe.lora_bias = config.lora_bias;
  recipe.bias = config.bias;
  recipe.modules_to_save = config.saved_modules;
  recipe.trainable_tokens = AllTokens(config);
  recipe.initialise = config.start;
}

}  // namespace retort
