// SPDX-License-Identifier: Apache-2.0
// What a plan counts is what the run takes.
#include "session/plan.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "export/init_model.h"
#include "export/verify.h"
#include "recipes/recipe_reader.h"

namespace retort {
namespace {

class PlanTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::filesystem::create_directories(Folder());
    InitOptions init;
    init.config = ShapeNamed("3,64,4,2,128,300");
    WriteInitialModel(Folder() / "model", init);
    init.config = ShapeNamed("2,128,4,2,256,300");
    WriteInitialModel(Folder() / "teacher", init);
    std::string rows, pairs;
    RandomStream random(MakeKey(3, RandomUse::kData));
    const auto digits = [&] {
      std::string out;
      for (uint64_t n = 1 + random.Below(24); n > 0; --n)
        out += static_cast<char>('0' + random.Below(10));
      return out;
    };
    for (int i = 0; i < 60; ++i) {
      const std::string prompt = "say " + digits(), answer = " " + digits();
      rows += DumpJson(Json{{"prompt", prompt}, {"completion", answer}}) + "\n";
      pairs += DumpJson(Json{{"prompt", prompt}, {"chosen", answer}, {"rejected", " no"}}) + "\n";
    }
    WriteTextAtomically(Folder() / "rows.jsonl", rows);
    WriteTextAtomically(Folder() / "pairs.jsonl", pairs);
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(Folder()); }
  static Path Folder() { return Path(::testing::TempDir()) / Cat("retort_plan_test_", ::getpid()); }

  static Recipe RecipeWith(const std::vector<std::string>& settings) {
    return ParseRecipe(R"({"model": {"path": "model"}, "adapter": {"rank": 4},
        "data": {"train": "rows.jsonl", "max_tokens": 96},
        "train": {"steps": 12, "batch_rows": 3, "part_tokens": 64, "threads": 2}})",
                       "recipe", Folder(), settings);
  }
};

std::string Text(const TrainingSession::Memory& m) {
  return Cat("weights ", m.weights, " trained ", m.trained, " optimizer ", m.optimizer, " peak ",
             m.peak, " reached ", m.reached, " mapped ", m.mapped, " checkpoint ", m.checkpoint);
}

TEST_F(PlanTest, CountsToTheByteWhatTheRunTakes) {
  const std::string pairs = Cat("data.train=", (Folder() / "pairs.jsonl").string());
  const std::string teacher = Cat("teacher.path=", (Folder() / "teacher").string());
  const std::vector<std::vector<std::string>> cases = {
      {},
      {"model.weights=f32", "model.compute=f32"},
      {"model.weights=bf16", "data.packing=true"},
      {"model.weights=as-is", "adapter.dropout=0.1"},
      {"adapter.kind=none", "adapter.rank=16", "model.weights=f32", "train.accumulate=2"},
      {"adapter.kind=none", "adapter.rank=16", "model.weights=bf16", "train.optimizer=adafactor"},
      {"train.optimizer=adamw8", "train.gradient_checkpointing=block"},
      {"train.optimizer=lion", "train.neftune=5", "train.label_smoothing=0.1"},
      {"data.val_split=0.2", "train.part_tokens=4096"},
      {pairs, "preference.method=dpo"},
      {pairs, "preference.method=orpo", "data.val_split=0.3"},
      {teacher, "teacher.weight=0.5"},
      {teacher, "teacher.divergence=jsd", "teacher.hidden=mse"},
  };
  for (const auto& settings : cases) {
    std::string name;
    for (const std::string& s : settings) name += s + " ";
    const OpenedRecipe opened = OpenRecipe(RecipeWith(settings));
    const MemoryPlan plan = PlanMemory(opened, 1e9);
    EXPECT_TRUE(plan.complete()) << name;
    EXPECT_GT(plan.activations(), 0) << name;

    TrainingSession session(opened);
    session.EvaluateBefore();
    for (int64_t i = 0; i < session.total_steps(); ++i) ASSERT_TRUE(session.Step()) << name;
    session.EvaluateAfter();
    EXPECT_EQ(Text(plan.counted), Text(session.memory())) << name;
    EXPECT_EQ(plan.total_tokens(), static_cast<double>(plan.tokens)) << name;
  }
}

// The plan of one recipe must not fit another, or the test above shows nothing.
TEST_F(PlanTest, TellsRecipesApart) {
  const auto peak = [](std::vector<std::string> settings) {
    settings.emplace_back("data.val_split=0.05");  // a small evaluation, below the peak of a step
    return PlanMemory(OpenRecipe(RecipeWith(settings)), 1e9).counted.peak;
  };
  const int64_t plain = peak({});
  EXPECT_GT(peak({"model.weights=bf16"}), plain);
  EXPECT_GT(peak({"train.part_tokens=4096"}), plain);
  EXPECT_GT(peak({"adapter.rank=32"}), plain);
  EXPECT_LT(peak({"train.gradient_checkpointing=block"}), plain);
}

TEST_F(PlanTest, ProposesWhatSavesMemory) {
  const OpenedRecipe opened = OpenRecipe(RecipeWith(
      {"model.weights=f32", "adapter.rank=64", "train.part_tokens=4096", "train.batch_rows=16"}));
  const std::vector<Saving> savings = SavingsFor(opened, 0);
  ASSERT_EQ(savings.size(), 3u);  // none is enough; of parts this small, blocks save nothing more
  EXPECT_EQ(savings[0].set, "model.weights=nf4");
  EXPECT_EQ(savings[2].set, "train.part_tokens=128");
  const int64_t limit = int64_t{1} << 40;
  EXPECT_EQ(SavingsFor(opened, limit).size(), 1u);
}

TEST_F(PlanTest, ProposesNothingThatSavesNothing) {
  ExportGguf(OpenModel(Folder() / "model"), Folder() / "model.gguf", OptionsOfType("q8_0"));
  const std::string path = Cat("model.path=", (Folder() / "model.gguf").string());
  for (const Saving& saving : SavingsFor(OpenRecipe(RecipeWith({path, "model.weights=as-is"})), 0))
    EXPECT_NE(saving.set, "model.weights=nf4");
}

TEST_F(PlanTest, CountsOneStepAtLeast) {
  const MemoryPlan plan = PlanMemory(OpenRecipe(RecipeWith({"data.val_split=0.2"})), 0);
  EXPECT_EQ(plan.steps, 1);
  EXPECT_FALSE(plan.complete());
}

// Of answers that a schema holds to its form, every token is chosen from logits that nobody
// computed.
TEST_F(PlanTest, CountsAnswersUnderASchema) {
  WriteTextAtomically(Folder() / "schema.json", R"({"type": "object", "properties": {"people":
      {"type": "string", "pattern": "^[a-z]+$"}}, "required": ["people"]})");
  std::string rows;
  for (int i = 0; i < 8; ++i)
    rows += R"({"prompt": "say ", "completion": "{\"people\": \"four\"}"})" + Cat("\n");
  WriteTextAtomically(Folder() / "objects.jsonl", rows);
  const OpenedRecipe opened = OpenRecipe(RecipeWith(
      {Cat("data.schema=", (Folder() / "schema.json").string()), "train.eval_metrics=[\"fields\"]",
       Cat("data.train=", (Folder() / "objects.jsonl").string()), "data.val_split=0.25"}));
  EXPECT_TRUE(PlanMemory(opened, 1e9).complete());
}

// Answers that all have the same reward leave steps without a token.
TEST_F(PlanTest, TimesStepsWithoutTokens) {
  const OpenedRecipe opened =
      OpenRecipe(RecipeWith({"reward.exact=true", "reward.answers=2", "reward.max_new_tokens=4"}));
  const TimePlan time = PlanTime(opened, PlanMemory(opened, 1e9));
  EXPECT_GT(time.steps, 0);
  EXPECT_GT(time.seconds, 0);
  EXPECT_TRUE(std::isfinite(time.seconds));
}

TEST_F(PlanTest, TimesSomeSteps) {
  const OpenedRecipe opened = OpenRecipe(RecipeWith({}));
  const MemoryPlan memory = PlanMemory(opened, 1e9);
  const TimePlan time = PlanTime(opened, memory);
  EXPECT_GT(time.steps, 0);
  EXPECT_NEAR(time.seconds * time.tokens_per_second, static_cast<double>(memory.tokens),
              1e-6 * static_cast<double>(memory.tokens));
}

TEST(RowLengths, AreSortedAndCounted) {
  std::vector<int64_t> lengths;
  for (int64_t i = 100; i >= 1; --i) lengths.push_back(i);
  const LengthFacts facts = LengthsOf(lengths);
  EXPECT_EQ(facts.rows, 100);
  EXPECT_EQ(facts.shortest, 1);
  EXPECT_EQ(facts.median, 50);
  EXPECT_EQ(facts.p95, 95);
  EXPECT_EQ(facts.p99, 99);
  EXPECT_EQ(facts.longest, 100);
  ASSERT_EQ(facts.bins.size(), 7u);
  EXPECT_EQ(facts.bins[6].begin, 64);
  EXPECT_EQ(facts.bins[6].end, 128);
  EXPECT_EQ(facts.bins[6].rows, 37);
}

}  // namespace
}  // namespace retort
