// SPDX-License-Identifier: Apache-2.0
// Keys that are right by themselves and wrong together.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "recipes/keys.h"
#include "recipes/recipe_reader.h"

namespace retort {
namespace {

constexpr const char* kShortest = R"({"model": {"path": "m"}, "data": {"train": "t.jsonl"}})";

using Settings = std::vector<std::string>;

Recipe WithSettings(const Settings& settings) {
  return ParseRecipe(kShortest, "recipe.json", "/recipes", settings);
}

// What reading says against it; "" if it is read.
std::string RefusalOf(const Settings& settings) {
  try {
    WithSettings(settings);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::kInput);
    return e.what();
  }
  return "";
}

void ExpectRefused(const Settings& settings, const std::string& key) {
  const std::string said = RefusalOf(settings);
  EXPECT_NE(said.find("'" + key + "'"), std::string::npos) << key << ": " << said;
}

TEST(RecipeChecks, WhatAnOptimiserOrAScheduleDoesNotUseIsRefused) {
  ExpectRefused({"train.momentum=0.9"}, "train.momentum");
  ExpectRefused({"train.optimizer=lion", "train.epsilon=1e-6"}, "train.epsilon");
  ExpectRefused({"train.optimizer=adafactor", "train.beta1=0.9"}, "train.beta1");
  ExpectRefused({"train.optimizer=sgd"}, "train.lr");
  ExpectRefused({"train.decay=0.2"}, "train.decay");
  ExpectRefused({"train.schedule=constant", "train.lr=1", "train.min_lr=0.1"}, "train.min_lr");
  ExpectRefused({"train.label_smoothing=0.1", "teacher.path=t"}, "train.label_smoothing");
  EXPECT_EQ(RefusalOf({"train.optimizer=sgd", "train.lr=1", "train.momentum=0.9"}), "");
  EXPECT_EQ(RefusalOf({"train.schedule=wsd", "train.decay=20"}), "");
}

TEST(RecipeChecks, NumbersOfLayersNeedNames) {
  ExpectRefused({"adapter.layers=[1]", "adapter.targets=.*q_proj"}, "adapter.layers");
  EXPECT_EQ(RefusalOf({"adapter.layers=[1]", R"(adapter.targets=["q_proj"])"}), "");
  EXPECT_EQ(RefusalOf({"adapter.layers=[1]"}), "");
}

TEST(RecipeChecks, ListsOfNumbersSayTheirRange) {
  EXPECT_NE(RefusalOf({R"(adapter.rank_pattern={"q_proj": 0})"})
                .find("each an integer of at least 1 and at most 65536"),
            std::string::npos);
  EXPECT_NE(RefusalOf({R"(adapter.alpha_pattern={"q_proj": 0})"}).find("each a number above 0"),
            std::string::npos);
}

TEST(RecipeChecks, WithoutAnAdapterItsKeysHaveNoUse) {
  for (const char* key : {"adapter.rank=4", "adapter.dora=true", "adapter.bias=all",
                          "adapter.trainable_tokens=[1]", R"(adapter.targets=["q_proj"])"}) {
    const std::string name = Split(key, '=').front();
    ExpectRefused({"adapter.kind=none", "model.weights=f32", key}, name.c_str());
  }
  const Recipe r = WithSettings({"adapter.kind=none", "model.weights=f32", "adapter.rank=16"});
  EXPECT_EQ(ResolvedJson(ParseRecipe(DumpJson(ResolvedJson(r)), "r.json", "/")), ResolvedJson(r));
}

// The choices of a key, as settings; both values of a flag.
Settings OfferedSettings(const RecipeKey& key) {
  Settings settings;
  for (const ValueShape& shape : key.shapes) {
    const bool list = shape.kind == ValueShape::Kind::kTextList;
    for (const std::string& choice : shape.choices)
      settings.push_back(Cat(key.name, "=", list ? DumpJson(Json::array({choice})) : choice));
    if (shape.kind != ValueShape::Kind::kBool) continue;
    settings.push_back(Cat(key.name, "=true"));
    settings.push_back(Cat(key.name, "=false"));
  }
  return settings;
}

// Every choice that a key offers, with what it needs beside it: a run's own recipe.json is what it
// is resumed with.
TEST(RecipeChecks, AResolvedRecipeReadsAsItself) {
  const std::vector<Settings> beside = {
      {},
      {"train.lr=1"},
      {"model.weights=f32"},
      {"data.val_split=0.1"},
      {"data.schema=s"},
      {"teacher.path=t"},
      {"teacher.path=t", "teacher.cache=c"},
      {"reward.exact=true"},
      {"reward.regex=yes"},
      {"train.optimizer=sgd", "train.lr=1"},
      {"preference.method=orpo", "adapter.kind=none", "model.weights=f32"},
  };
  for (const RecipeKey& key : RecipeKeys()) {
    for (const std::string& setting : OfferedSettings(key)) {
      SCOPED_TRACE(setting);
      int64_t read = 0;
      for (Settings settings : beside) {
        settings.push_back(setting);
        if (!RefusalOf(settings).empty()) continue;
        ++read;
        const Recipe r = WithSettings(settings);
        const Recipe again = ParseRecipe(DumpJson(ResolvedJson(r)), "recipe.json", "/");
        EXPECT_TRUE(again == r) << DumpJson(ResolvedJson(r), 1);
      }
      EXPECT_GT(read, 0);
    }
  }
}

// Recipes were resolved with the weight of kto whatever the method was.
TEST(RecipeChecks, TheDefaultOfAKeyWithoutUseSaysNothing) {
  for (const char* method : {"dpo", "orpo"})
    EXPECT_EQ(RefusalOf({Cat("preference.method=", method), "preference.weight=1"}), "");
}

TEST(RecipeChecks, PreferencesNeedTheirPlace) {
  ExpectRefused({"preference.beta=0.2"}, "preference.method");
  ExpectRefused({"preference.method=dpo", "preference.weight=2"}, "preference.weight");
  ExpectRefused({"preference.method=dpo", "teacher.path=t"}, "preference.method");
  ExpectRefused({"preference.method=dpo", "adapter.kind=none", "model.weights=f32"},
                "preference.method");
  ExpectRefused({"preference.method=kto", "data.over_length=split"}, "data.over_length");
  EXPECT_EQ(RefusalOf({"preference.method=orpo", "adapter.kind=none", "model.weights=f32"}), "");
  EXPECT_EQ(RefusalOf({"preference.method=kto", "preference.weight=2"}), "");
}

TEST(RecipeChecks, WhatIsMeasuredNeedsHeldOutRows) {
  ExpectRefused({"train.samples=2"}, "train.samples");
  ExpectRefused({"train.best_by=exact"}, "train.best_by");
  ExpectRefused({"train.eval_metrics=[\"exact\"]"}, "train.eval_metrics");
  ExpectRefused({"data.eval=e", "train.early_stop=2"}, "train.eval_every");
  ExpectRefused({"data.eval=e", "data.val_split=0.1"}, "data.val_split");
  EXPECT_EQ(RefusalOf({"data.val_split=0.1", "train.samples=2", "train.best_by=exact"}), "");
}

TEST(RecipeChecks, NoTargetIsForParametersAlone) {
  ExpectRefused({"adapter.targets=none"}, "adapter.target_parameters");
  EXPECT_EQ(
      RefusalOf({"adapter.targets=none", "adapter.target_parameters=[\"experts.down_proj\"]"}), "");
}

}  // namespace
}  // namespace retort
