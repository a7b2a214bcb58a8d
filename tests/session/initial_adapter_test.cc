// SPDX-License-Identifier: Apache-2.0
// adapter.init beside the other keys of its section.
#include "session/initial_adapter.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "recipes/recipe_reader.h"
#include "tests/support/model_folder.h"

namespace retort {
namespace {

Layout TwoLayers() { return LayoutOf(FolderConfig("llama")); }

std::unique_ptr<Adapter> Made(const Layout& layout, Backend& backend) {
  AdapterConfig config;
  config.rank = 4, config.alpha = 6, config.dropout = 0.25;
  config.targets = {"q_proj", "v_proj"};
  return Adapter::Make(config, layout, 1, backend);
}

// The section after the adapter was taken; or the error.
std::string Taken(const std::string& section, AdapterRecipe* out = nullptr) {
  const Layout layout = TwoLayers();
  const auto backend = MakeCpuBackend(1, Compute::kF32);
  const auto adapter = Made(layout, *backend);
  AdapterRecipe recipe =
      ParseRecipe(Cat(R"({"model": {"path": "m"}, "data": {"train": "t"}, "adapter": {"init": "a")",
                      section.empty() ? "" : ", ", section, "}}"),
                  "r", "/", {})
          .adapter;
  try {
    TakeInitialAdapter(*adapter, layout, recipe);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::kInput);
    return e.what();
  }
  EXPECT_EQ(adapter->config().dropout, recipe.dropout);
  if (out) *out = recipe;
  return "";
}

TEST(InitialAdapter, ItsValuesAreTheRecipes) {
  AdapterRecipe recipe;
  EXPECT_EQ(Taken("", &recipe), "");
  EXPECT_EQ(recipe.rank, 4);
  EXPECT_EQ(recipe.alpha, 6);
  EXPECT_EQ(recipe.dropout, 0.25);
  EXPECT_EQ(recipe.targets.suffixes, (std::vector<std::string>{"q_proj", "v_proj"}));
  EXPECT_EQ(Taken(R"("dropout": 0)", &recipe), "");
  EXPECT_EQ(recipe.dropout, 0);
}

TEST(InitialAdapter, OtherValuesAreRefusedByName) {
  EXPECT_EQ(Taken(R"("rank": 8)"),
            "'adapter.rank' is 8, but 'adapter.init' /a has 4; leave 'adapter.rank' out, or start "
            "without 'adapter.init'");
  for (const char* key : {"alpha", "rslora", "targets", "exclude"}) {
    const std::string value = std::string(key) == "alpha"    ? "32"
                              : std::string(key) == "rslora" ? "true"
                                                             : R"(["q_proj"])";
    EXPECT_NE(Taken(Cat("\"", key, "\": ", value)).find(Cat("'adapter.", key, "'")),
              std::string::npos)
        << key;
  }
  EXPECT_NE(Taken(R"("targets": "all-linear")"), "");
}

TEST(InitialAdapter, TheSameInOtherWordsIsTaken) {
  EXPECT_EQ(Taken(R"("rank": 4, "alpha": 6, "rslora": false)"), "");
  EXPECT_EQ(Taken(R"("targets": ".*\\.(q|v)_proj")"), "");
  EXPECT_EQ(Taken(R"("exclude": ["up_proj"])"), "");
}

}  // namespace
}  // namespace retort
