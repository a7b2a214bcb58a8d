// SPDX-License-Identifier: Apache-2.0
#include "recipes/recipe_reader.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "recipes/key_lines.h"
#include "recipes/keys.h"
#include "recipes/other_names.h"
#include "recipes/recipe_rules.h"

namespace retort {
namespace {

// The value of a key, the start of its error messages, and the folder of its relative paths.
struct Given {
  Json value;
  std::string where;
  Path folder;
};

std::string Shown(const Json& value) { return OneLine(DumpJson(value), kLongestQuote); }

class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  void AddFile(std::string_view text, const Path& folder) {
    // First whether it is JSON; then keys given twice, with their lines; then those that are spelt
    // differently, as "a" and "\u0061".
    ParseJson(text, file_, true, RepeatedKeys::kLast);
    lines_ = KeyLines(text, file_);
    const Json document = ParseJson(text, file_, true);
    if (!document.is_object()) throw InputError(file_, ": a recipe must be an object, { … }");
    for (const auto& [name, value] : document.items()) {
      if (name != "$schema") Add(name, value, "", folder);
    }
  }

  void AddOverride(const std::string& argument) {
    const size_t equals = argument.find('=');
    const std::string name(Strip(argument.substr(0, equals)));
    if (equals == std::string::npos || name.empty()) {
      throw InputError("--set ", argument, ": must be KEY=VALUE, as in train.lr=1e-4");
    }
    const std::string text = argument.substr(equals + 1);
    const bool json = Json::accept(text);
    Json value = json ? ParseJson(text, "--set " + argument) : Json();
    const RecipeKey* key = FindRecipeKey(name);
    const bool misfit =
        key && (value.is_number() || value.is_boolean()) && !Fits(value, key->shapes);
    if (!json || (misfit && Fits(Json(text), key->shapes))) value = text;
    if (key) given_.erase(key->rival);
    Add(name, value, "--set " + argument, Path("."));
  }

  Recipe Build() {
    Recipe recipe;
    for (const RecipeKey& key : keys_) {
      const auto found = given_.find(key.name);
      if (found == given_.end()) {
        if (key.required) throw InputError(file_, ": '", key.name, "' is missing");
        continue;
      }
      const auto& [value, where, folder] = found->second;
      if (!Fits(value, key.shapes)) {
        throw InputError(where, ": '", key.name, "' must be ", Words(key.shapes), ", not ",
                         Shown(value));
      }
      key.store(value, folder, recipe);
      if (key.section() == "adapter") recipe.adapter.given.names.insert(key.leaf());
    }
    GivenPlaces given(file_);
    for (const auto& [name, value] : given_) given.Add(name, value.where);
    CheckRules(recipe, given);
    return recipe;
  }

 private:
  // `where` is empty for values from the file.
  void Add(const std::string& name, const Json& value, const std::string& where,
           const Path& folder) {
    const std::string place = where.empty() ? PlaceOf(name) : where;
    if (IsSection(name)) {
      if (!where.empty() && value.is_null()) {  // --set teacher=null removes the file's section
        std::erase_if(given_, [&](const auto& g) { return g.first.starts_with(name + "."); });
        return;
      }
      if (!value.is_object()) {
        const std::string here = HereItIs(name);
        throw InputError(place, ": '", name, "' must be an object, not ", Shown(value),
                         here.empty() ? "" : "; " + here);
      }
      for (const auto& [leaf, inner] : value.items()) {
        Add(Cat(name, ".", leaf), inner, where, folder);
      }
      return;
    }
    if (!FindRecipeKey(name)) throw Unknown(name, place);
    if (name == "data.train" || name == "data.eval") CheckSourceKeys(name, value, place);
    if (!where.empty() && value.is_null())
      given_.erase(name);
    else
      given_[name] = {value, place, folder};
  }

  void CheckSourceKeys(const std::string& name, const Json& value, const std::string& place) {
    for (const Json& source : value.is_array() ? value : Json::array({value})) {
      if (!source.is_object()) continue;
      for (const auto& [key, _] : source.items()) {
        if (key == "path" || key == "weight") continue;
        const std::string near = Nearest(key, {"path", "weight"});
        throw InputError(
            place, ": key ", Quoted(key), " of a source in '", name, "' is not known; ",
            near.empty() ? "known are 'path' and 'weight'" : Cat("did you mean '", near, "'?"));
      }
    }
  }

  // Suggests the key that was probably meant: the same name in another section, else ours for what
  // another program calls so, else the nearest name in the same section, else the nearest of all.
  Error Unknown(const std::string& name, const std::string& place) const {
    const size_t dot = name.find('.');
    const std::string section = dot == std::string::npos ? "" : name.substr(0, dot);
    const std::string leaf = dot == std::string::npos ? name : name.substr(dot + 1);
    std::vector<std::string> siblings, all;
    std::string namesake;
    for (const RecipeKey& key : keys_) {
      if (dot != std::string::npos && key.section() == section) siblings.push_back(key.leaf());
      if (dot == std::string::npos) {
        siblings.push_back(key.section().empty() ? key.name : key.section());
      }
      if (key.leaf() == leaf && namesake.empty()) namesake = key.name;
      all.push_back(key.name);
    }
    std::string meant = namesake;
    const std::string here = meant.empty() ? HereItIs(leaf) : "";
    if (!here.empty()) {
      return InputError(place, ": key ", Quoted(name), " is not known; ", here);
    }
    if (meant.empty()) {
      meant = Nearest(leaf, siblings);
      if (!meant.empty() && !section.empty()) meant = Cat(section, ".", meant);
    }
    if (meant.empty()) meant = Nearest(name, all);
    return InputError(place, ": key ", Quoted(name), " is not known",
                      meant.empty() ? "" : Cat("; did you mean '", meant, "'?"));
  }

  bool IsSection(const std::string& name) const {
    return std::ranges::any_of(keys_, [&](const RecipeKey& k) { return k.section() == name; });
  }
  std::string PlaceOf(const std::string& name) const {
    const auto line = lines_.find(name);
    return line == lines_.end() ? file_ : Cat(file_, ":", line->second);
  }

  const std::vector<RecipeKey>& keys_ = RecipeKeys();
  const std::string file_;
  std::map<std::string, int> lines_;
  std::map<std::string, Given> given_;
};

}  // namespace

Recipe ParseRecipe(std::string_view text, const std::string& where, const Path& folder,
                   const std::vector<std::string>& overrides) {
  Reader reader(where);
  reader.AddFile(text, folder);
  for (const std::string& argument : overrides) reader.AddOverride(argument);
  return reader.Build();
}

Recipe ReadRecipe(const Path& file, const std::vector<std::string>& overrides) {
  Recipe recipe = ParseRecipe(ReadText(file), file.string(), file.parent_path(), overrides);
  if (recipe.name.empty()) recipe.name = file.stem().string();
  CheckRunName(recipe.name, file.string());
  return recipe;
}

}  // namespace retort
