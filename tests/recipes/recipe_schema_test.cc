// SPDX-License-Identifier: Apache-2.0
// The published schema against the reader: the test reads the schema as an editor would, and checks
// that the reader behaves in the same way.
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "recipes/recipe_reader.h"

namespace retort {
namespace {

Json Published() { return ReadJson(Path(RETORT_SOURCE_DIR) / "recipes" / "recipe.schema.json"); }

// Whether the reader takes `value` for section.leaf in a recipe that is otherwise in order.
bool Takes(const std::string& section, const std::string& leaf, const Json& value) {
  // f32, because training every weight (adapter.kind none) asks for it.
  Json recipe = {{"model", {{"path", "m"}, {"weights", "f32"}}}, {"data", {{"train", "t"}}}};
  if (section == "teacher") recipe["teacher"] = {{"path", "t"}, {"cache", "c"}};
  if (section == "train") recipe["train"]["lr"] = 100;  // min_lr is below it; sgd needs it
  if (section == "preference") recipe[section]["method"] = "kto";  // it has every other key
  if (section == "reward") recipe[section]["regex"] = "a reward";
  if (section == "train") recipe["data"]["eval"] = "e";   // without val_split, which excludes it
  if (leaf == "loss_on") recipe["data"]["schema"] = "s";  // for choices
  if (leaf == "early_stop") recipe["train"]["eval_every"] = 1;
  if (leaf == "momentum") recipe["train"]["optimizer"] = "sgd";
  if (leaf == "decay") recipe["train"]["schedule"] = "wsd";
  if (section.empty())
    recipe[leaf] = value;
  else
    recipe[section][leaf] = value;
  try {
    ParseRecipe(recipe.dump(), "recipe.json", "/");
    return true;
  } catch (const Error&) {
    return false;
  }
}

using Visit = std::function<void(const std::string&, const std::string&, const Json&)>;

void EachKey(const Json& schema, const Visit& visit) {
  for (const auto& [name, entry] : schema["properties"].items()) {
    if (name == "$schema") continue;
    if (!entry.contains("properties")) {
      visit("", name, entry);
      continue;
    }
    for (const auto& [leaf, inner] : entry["properties"].items()) visit(name, leaf, inner);
  }
}

TEST(RecipeSchema, ThePublishedFileIsCurrent) {
  EXPECT_EQ(ReadText(Path(RETORT_SOURCE_DIR) / "recipes" / "recipe.schema.json"),
            DumpJson(RecipeSchema(), 2) + "\n")
      << "rewrite it: cmake --build --preset release --target recipe_schema";
}

TEST(RecipeSchema, HoldsTheReadersKeysAndDefaults) {
  // Everything that a resolved recipe can hold is in the schema, and the other way round.
  Json resolved = ResolvedJson(ParseRecipe(
      R"({"name": "n", "model": {"path": "m"}, "adapter": {"init": "i"},
          "data": {"train": "t", "eval": "e"}, "teacher": {"path": "t", "cache": "c", "adapter": "a"},
          "export": {"out": "o"}})",
      "recipe.json", "/"));
  resolved["train"]["steps"] = 1;  // in place of epochs, and batch_rows of batch_tokens
  resolved["train"]["batch_rows"] = 1;
  // Left out where they have no use, or are off.
  for (const char* key : {"momentum", "neftune", "label_smoothing"}) resolved["train"][key] = 0;
  resolved["train"]["decay"] = 0.1;
  for (const char* key : {"early_stop", "samples"}) resolved["train"][key] = 0;
  resolved["train"]["eval_metrics"] = Json::array();
  resolved["train"]["logs"] = Json::array();
  resolved["train"]["best_by"] = "loss";
  resolved["adapter"]["layers"] = Json::array();
  resolved["adapter"].update({{"dora", false},
                              {"lora_bias", false},
                              {"bias", "none"},
                              {"initialise", "kaiming"},
                              {"lr_ratio", 1}});
  for (const char* key : {"modules_to_save", "trainable_tokens", "target_parameters"})
    resolved["adapter"][key] = Json::array();
  for (const char* key : {"rank_pattern", "alpha_pattern"})
    resolved["adapter"][key] = Json::object();
  resolved["data"]["val_split"] = 0;
  resolved["data"]["cache"] = "auto";
  resolved["data"]["schema"] = "";
  resolved["preference"] = {{"method", "dpo"}, {"beta", 0.1}, {"weight", 1}};
  resolved["reward"] = {{"exact", false},        {"answers", 8}, {"temperature", 1},
                        {"max_new_tokens", 128}, {"beta", 0},    {"regex", ""},
                        {"schema", ""},          {"command", ""}};
  const Json schema = Published();
  size_t keys = 0;
  EachKey(schema, [&](const std::string& section, const std::string& leaf, const Json& entry) {
    ++keys;
    const Json& object = section.empty() ? resolved : resolved[section];
    ASSERT_TRUE(object.contains(leaf)) << section << "." << leaf;
    if (entry.contains("default")) {
      EXPECT_EQ(entry["default"], object[leaf]) << leaf;
    }
    EXPECT_TRUE(entry.contains("description")) << leaf;
  });
  size_t resolved_keys = 0;
  for (const auto& [_, value] : resolved.items()) {
    resolved_keys += value.is_object() ? value.size() : 1;
  }
  EXPECT_EQ(keys, resolved_keys);
  EXPECT_EQ(schema["required"], Json::array({"model", "data"}));
  EXPECT_EQ(schema["properties"]["model"]["required"], Json::array({"path"}));
  EXPECT_EQ(schema["properties"]["data"]["required"], Json::array({"train"}));
}

// One plain entry, or one of the alternatives of anyOf: what one of these refuses another may take.
void TryEntry(const std::string& section, const std::string& leaf, const Json& entry, bool alone) {
  const auto takes = [&](const Json& value) { return Takes(section, leaf, value); };
  const std::string name = section + "." + leaf;
  for (const Json& value : entry.value("enum", Json::array())) {
    EXPECT_TRUE(takes(value)) << name << " " << value;
  }
  const std::string type = entry.value("type", "");
  const double step = type == "integer" ? 1 : 1e-9;
  if (entry.contains("minimum")) {
    const double low = entry["minimum"].get<double>();
    EXPECT_TRUE(takes(low)) << name;
    if (alone) {
      EXPECT_FALSE(takes(low - step)) << name;
    }
  }
  if (entry.contains("exclusiveMinimum")) {
    const double low = entry["exclusiveMinimum"].get<double>();
    EXPECT_FALSE(takes(low)) << name;
    EXPECT_TRUE(takes(low + step)) << name;
  }
  if (entry.contains("maximum")) {
    const double high = entry["maximum"].get<double>();
    EXPECT_TRUE(takes(high)) << name;
    EXPECT_FALSE(takes(high + (type == "integer" ? 2 : 1e-6))) << name;
  }
  if (entry.contains("exclusiveMaximum")) {
    EXPECT_TRUE(takes(entry["exclusiveMaximum"].get<double>() - step)) << name;
  }
  if (type == "integer") {
    EXPECT_FALSE(takes(2.5)) << name;
  }
  if (alone && entry.contains("enum")) {
    EXPECT_FALSE(takes("stranger")) << name;
  }
  if (type == "boolean") {
    EXPECT_TRUE(takes(true) && takes(false)) << name;
  }
  if (type == "string" && !entry.contains("pattern")) {
    EXPECT_TRUE(takes("any text")) << name;
  }
}

TEST(RecipeSchema, TheReaderKeepsItsPromises) {
  EachKey(Published(), [](const std::string& section, const std::string& leaf, const Json& entry) {
    const Json alternatives = entry.value("anyOf", Json::array({entry}));
    for (const Json& one : alternatives) TryEntry(section, leaf, one, alternatives.size() == 1);
    EXPECT_FALSE(Takes(section, leaf, Json::object())) << leaf;
    EXPECT_FALSE(Takes(section, leaf, nullptr)) << leaf;
    EXPECT_FALSE(Takes(section, leaf, "")) << leaf;
  });
}

}  // namespace
}  // namespace retort
