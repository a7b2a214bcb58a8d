// SPDX-License-Identifier: Apache-2.0
// Writes the resolved recipe and the schema from the table of keys.
#include <nlohmann/json.hpp>

#include "recipes/keys.h"
#include "recipes/recipe_reader.h"

namespace retort {

Json ResolvedJson(const Recipe& recipe) {
  Json out = Json::object();
  for (const RecipeKey& key : RecipeKeys()) {
    const Json value = key.load(recipe);
    if (value.is_null()) continue;
    if (key.section().empty())
      out[key.name] = value;
    else
      out[key.section()][key.leaf()] = value;
  }
  return out;
}

std::vector<std::string> ChangedKeys(const Recipe& a, const Recipe& b) {
  std::vector<std::string> changed;
  for (const RecipeKey& key : RecipeKeys()) {
    if (key.load(a) != key.load(b)) changed.push_back(key.name);
  }
  return changed;
}

Json RecipeSchema() {
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"title", "Retort recipe"},
                 {"description", "Everything that describes one run of retort train."},
                 {"type", "object"},
                 {"properties", {{"$schema", {{"type", "string"}}}}},
                 {"required", Json::array()},
                 {"additionalProperties", false}};
  const Recipe defaults;
  for (const RecipeKey& key : RecipeKeys()) {
    Json entry = {{"description", key.help}};
    entry.update(SchemaOf(key.shapes));
    // load() writes the defaults of a section that may be absent only if it is there.
    Recipe filled = defaults;
    if (key.section() == "teacher" && key.name != "teacher.path") filled.teacher.path = "teacher";
    if (key.section() == "preference" && key.leaf() != "method") filled.preference.method = "kto";
    if (key.section() == "reward" && key.leaf() != "exact") filled.reward.exact = true;
    const Json value = key.load(filled);
    if (!value.is_null() && Fits(value, key.shapes)) entry["default"] = value;

    Json* object = &schema;
    if (!key.section().empty()) {
      object = &schema["properties"][key.section()];
      if (object->is_null()) {
        *object = {
            {"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}};
      }
    }
    (*object)["properties"][key.leaf()] = entry;
    if (!key.required) continue;
    (*object)["required"].push_back(key.leaf());
    if (object != &schema) schema["required"].push_back(key.section());
  }
  schema["properties"]["train"]["not"] = {{"required", Json::array({"steps", "epochs"})}};
  return schema;
}

}  // namespace retort
