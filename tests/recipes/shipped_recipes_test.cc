// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "recipes/recipe_reader.h"

namespace retort {
namespace {

TEST(ShippedRecipes, OfTheQuickstartAreInOrder) {
  const Path folder = Path(RETORT_SOURCE_DIR) / "recipes" / "quickstart";
  EXPECT_EQ(ReadRecipe(folder / "base.json").adapter.kind, "none");
  const Recipe router = ReadRecipe(folder / "router.json");
  EXPECT_EQ(router.model.weights, "nf4");
  EXPECT_TRUE(router.model.double_quant);
  EXPECT_TRUE(router.adapter.targets.empty()) << "all linear layers";
}

// What the quickstart claims for distillation is claimed at equal steps and learning rate, and with
// every row that the student alone has.
TEST(ShippedRecipes, StudentsDifferByTheirTeacherAndItsAnswers) {
  const Path folder = Path(RETORT_SOURCE_DIR) / "recipes" / "quickstart";
  const Recipe alone = ReadRecipe(folder / "student.json");
  Recipe taught = ReadRecipe(folder / "distil.json");
  EXPECT_FALSE(alone.has_teacher());
  ASSERT_TRUE(taught.has_teacher());
  ASSERT_EQ(taught.data.train.size(), 2u);
  EXPECT_EQ(taught.data.train[0], alone.data.train[0]);
  taught.name = alone.name;
  taught.data.train = alone.data.train;
  taught.teacher = alone.teacher;
  EXPECT_EQ(alone, taught);
}

TEST(ShippedRecipes, OfPublicDataAreInOrder) {
  for (const char* task : {"banking77", "clinc150", "restaurant8k"}) {
    for (const char* file : {"smollm2-135m.json", "gemma-3-270m.json"}) {
      const Recipe recipe = ReadRecipe(Path(RETORT_SOURCE_DIR) / "recipes" / task / file);
      EXPECT_EQ(recipe.adapter.kind, "lora") << task << " " << file;
      EXPECT_FALSE(recipe.data.eval.empty()) << task << " " << file;
      EXPECT_EQ(recipe.train.lr, 0) << "the default";
    }
  }
}

TEST(ShippedRecipes, OfPrunedStudentsAreInOrder) {
  const Path folder = Path(RETORT_SOURCE_DIR) / "recipes" / "prune";
  for (const char* file : {"router.json", "stories.json"}) {
    const Recipe recipe = ReadRecipe(folder / file);
    EXPECT_EQ(recipe.adapter.kind, "none") << file;
    EXPECT_TRUE(recipe.has_teacher()) << file;
  }
}

}  // namespace
}  // namespace retort
