// SPDX-License-Identifier: Apache-2.0
#include "session/defaults.h"

#include <gtest/gtest.h>

namespace retort {
namespace {

TEST(Defaults, ARateFallsWithTheWidth) {
  EXPECT_DOUBLE_EQ(DefaultRate(4096, true), 2e-4);  // QLoRA's own
  EXPECT_DOUBLE_EQ(DefaultRate(576, true), 9.6e-4);
  EXPECT_DOUBLE_EQ(DefaultRate(576, false), 9.6e-5);
  EXPECT_DOUBLE_EQ(DefaultRate(16, true), 3e-3);
  EXPECT_DOUBLE_EQ(DefaultRate(1 << 20, true), 1e-4);
}

TEST(Defaults, SomeThousandShortRowsMakeSomeHundredSteps) {
  const RunFacts facts{9003, 9003 * 27, 576};
  const int64_t batch = DefaultBatchTokens(facts);
  EXPECT_EQ(batch, 16 * 27);
  EXPECT_EQ(DefaultEpochs(facts.rows), 2);
}

TEST(Defaults, FewRowsAreSeenOften) {
  const RunFacts few{30, 900, 576};
  EXPECT_EQ(DefaultBatchTokens(few), 240);  // 8 rows
  EXPECT_EQ(DefaultEpochs(30), 10);
  const RunFacts one{1, 5, 576};
  EXPECT_EQ(DefaultBatchTokens(one), 40);
  EXPECT_EQ(DefaultEpochs(1), 10);
}

TEST(Defaults, MuchDataIsSeenOnce) {
  const RunFacts much{100000, 100000 * 700, 2048};
  EXPECT_EQ(DefaultBatchTokens(much), 8192);
  EXPECT_EQ(DefaultEpochs(100000), 1);
}

TEST(Defaults, FollowTheOptimiser) {
  Recipe recipe;
  const RunFacts facts{100, 1000, 4096};
  TrainRecipe t = WithDefaults(recipe, facts).train;
  EXPECT_EQ(t.beta2, 0.999);
  EXPECT_DOUBLE_EQ(t.lr, 2e-4);
  recipe.train.optimizer = "lion";
  t = WithDefaults(recipe, facts).train;
  EXPECT_EQ(t.beta2, 0.99);
  EXPECT_DOUBLE_EQ(t.lr, 4e-5);
}

TEST(Defaults, WhatTheRecipeSaysStays) {
  Recipe given;
  given.train.lr = 0.5;
  given.train.beta1 = 0.8;
  given.train.beta2 = 0.9;
  given.train.batch_rows = 4;
  given.train.steps = 7;
  EXPECT_TRUE(WithDefaults(given, {100, 1000, 64}) == given);
  Recipe open;
  const TrainRecipe t = WithDefaults(open, {100, 1000, 64}).train;
  EXPECT_GT(t.lr, 0);
  EXPECT_EQ(t.batch_tokens, 80);
  EXPECT_EQ(t.epochs, 10);
  EXPECT_EQ(t.batch_rows, 0);
}

}  // namespace
}  // namespace retort
