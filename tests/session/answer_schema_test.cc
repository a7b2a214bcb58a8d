// SPDX-License-Identifier: Apache-2.0
// The schema that a training was held to goes where its model goes.
#include "model/store/answer_schema.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "export/folder_export.h"
#include "export/gguf_export.h"
#include "export/init_model.h"
#include "export/merge.h"
#include "export/quantised_folder.h"
#include "model/store/base_record.h"
#include "recipes/recipe_reader.h"
#include "session/session.h"
#include "tests/data/support.h"

namespace retort {
namespace {

constexpr const char* kSchema = R"({"type":"object","properties":{"ok":{"type":"boolean"}},)"
                                R"("required":["ok"],"additionalProperties":false})";

class AnswerSchemaTest : public testing::Test {
 protected:
  AnswerSchemaTest() {
    InitOptions init;
    init.config = ShapeNamed("1,32,2,1,64,300");
    WriteInitialModel(At("model"), init);
    folder_.Write("rows.jsonl", R"({"prompt": "fine?", "completion": " {\"ok\": true}"})"
                                "\n");
    folder_.Write("schema.json", kSchema);
  }
  Path At(const std::string& name) const { return folder_.path() / name; }
  Recipe RecipeWith(const std::vector<std::string>& settings) const {
    return ParseRecipe(R"({"model": {"path": "model", "weights": "f32", "compute": "f32"},
                           "data": {"train": "rows.jsonl", "schema": "schema.json"},
                           "train": {"steps": 1, "warmup": 0}})",
                       "recipe", folder_.path(), settings);
  }
  void Train(const std::vector<std::string>& settings) const {
    std::filesystem::remove_all(At("run"));
    PrepareRunFolder(At("run"), false, "{}",
                     [](const std::string&) { return std::vector<std::string>(); });
    TrainingSession session(RecipeWith(settings));
    session.Run(At("run"), [](const RunProgress&) {});
  }
  void MergeBoth() const {
    MergeOptions options{.adapter = At("first"), .out = At("merged"), .threads = 1};
    options.others = {{At("run") / "adapter", 0.5}};
    Merge(options);
  }
  static void ExpectSchema(const std::optional<GrammarSource>& schema, const std::string& where) {
    ASSERT_TRUE(schema) << where;
    EXPECT_EQ(*schema,
              (GrammarSource{GrammarSource::Kind::kSchema, kSchema, JsonSpace::kSpaced, " "}))
        << where;
  }

  TempFolder folder_;
};

TEST_F(AnswerSchemaTest, IsInAdapterMergedFolderGgufAndBack) {
  Train({});
  ExpectSchema(ReadBaseRecord(At("run") / "adapter")->answers, "adapter");
  Merge({{}, At("run") / "adapter", At("merged"), "", 1});
  ExpectSchema(AnswerSchemaOf(OpenModel(At("merged"))), "merged");
  ExportGguf(OpenModel(At("merged")), At("m.gguf"), {WeightFormat::kF32});
  ExpectSchema(AnswerSchemaOf(OpenModel(At("m.gguf"))), "GGUF");
  ExportFolder(OpenModel(At("m.gguf")), At("folder"), {});
  ExpectSchema(AnswerSchemaOf(OpenModel(At("folder"))), "folder");
  QuantiseFolder(OpenModel(At("merged")), At("int8"),
                 {.method = FolderMethod::kInt8, .threads = 1});
  ExpectSchema(AnswerSchemaOf(OpenModel(At("int8"))), "quantised folder");
  EXPECT_FALSE(AnswerSchemaOf(OpenModel(At("model"))));
}

// Fitted on held-out rows, in the adapter's folder or in that of a model.
TEST_F(AnswerSchemaTest, ATemperatureGoesWhereTheSchemaGoes) {
  Train({});
  KeepTemperature(At("run") / "adapter", 1.25);
  EXPECT_EQ(AnswerSchemaOf({{At("run") / "adapter", 1}})->temperature, 1.25);
  Merge({{}, At("run") / "adapter", At("merged"), "", 1});
  EXPECT_EQ(AnswerSchemaOf(OpenModel(At("merged")))->temperature, 1.25);
  KeepTemperature(At("merged"), 0.75);
  ExportGguf(OpenModel(At("merged")), At("m.gguf"), {WeightFormat::kF32});
  EXPECT_EQ(AnswerSchemaOf(OpenModel(At("m.gguf")))->temperature, 0.75);
  ExportFolder(OpenModel(At("m.gguf")), At("folder"), {});
  ExpectSchema(AnswerSchemaOf(OpenModel(At("folder"))), "folder");
  EXPECT_EQ(AnswerSchemaOf(OpenModel(At("folder")))->temperature, 0.75);
  EXPECT_THROW(KeepTemperature(At("model"), 2), Error);
  // It was fitted for one adapter, not for a sum.
  std::filesystem::copy(At("run") / "adapter", At("first"));
  EXPECT_EQ(AnswerSchemaOf({{At("first"), 1}, {At("run") / "adapter", 1}})->temperature, 1);
}

TEST_F(AnswerSchemaTest, IsInAModelThatIsTrainedWhole) {
  Train({"adapter.kind=none"});
  ExpectSchema(AnswerSchemaOf(OpenModel(At("run") / "model")), "model");
}

// Its answers are other ones.
TEST_F(AnswerSchemaTest, OfTheBaseIsNotThatOfAnAdapterWithoutOne) {
  WriteAnswerSchema(At("model"), {GrammarSource::Kind::kSchema, kSchema, JsonSpace::kCompact});
  Train({"data.schema=null"});
  EXPECT_FALSE(ReadBaseRecord(At("run") / "adapter")->answers);
  Merge({{}, At("run") / "adapter", At("merged"), "", 1});
  EXPECT_FALSE(AnswerSchemaOf(OpenModel(At("merged"))));
}

TEST_F(AnswerSchemaTest, OfSeveralAdaptersIsTheirsIfTheyAgree) {
  Train({});
  std::filesystem::copy(At("run") / "adapter", At("first"));
  MergeBoth();
  ExpectSchema(AnswerSchemaOf(OpenModel(At("merged"))), "merged");
  Train({"data.schema=null"});
  std::filesystem::remove_all(At("merged"));
  MergeBoth();
  EXPECT_FALSE(AnswerSchemaOf(OpenModel(At("merged"))));
}

TEST_F(AnswerSchemaTest, AChangedOneEndsARunThatGoesOn) {
  Train({});
  folder_.Write("schema.json", R"({"type": "object"})");
  const auto fault = [&](const std::vector<std::string>& settings) {
    return InputFault(
        [&] {
          TrainingSession session(RecipeWith(settings));
          session.Run(At("run"), [](const RunProgress&) {});
        },
        At("run") / "x");
  };
  EXPECT_NE(fault({"train.steps=2"}).find("what 'data.schema' names has changed"),
            std::string::npos);
  EXPECT_NE(
      fault({"train.steps=2", "data.schema=null"}).find("what 'data.schema' names has changed"),
      std::string::npos);
}

TEST_F(AnswerSchemaTest, ADamagedOneIsRefusedWithItsFile) {
  folder_.Write("model/answer_schema.json", R"({"json_space": "compact"})");
  EXPECT_EQ(InputFault([&] { AnswerSchemaOf(OpenModel(At("model"))); }, At("model") / "x"),
            "answer_schema.json: must be an object with a JSON Schema under 'schema'");
}

TEST_F(AnswerSchemaTest, LossOnChoicesNeedsIt) {
  EXPECT_THROW(RecipeWith({"data.schema=null", "data.loss_on=choices"}), Error);
  EXPECT_THROW(RecipeWith({"reward.exact=true", "data.loss_on=choices"}), Error);
  EXPECT_THROW(RecipeWith({"teacher.path=model", "teacher.mode=on-policy", "data.loss_on=choices"}),
               Error);
  const auto tokens = [&](const std::string& loss_on) {
    const Recipe recipe = RecipeWith({"data.loss_on=" + loss_on});
    return OpenRecipeData(recipe, OpenModel(recipe.model.path)).train.loss_tokens;
  };
  EXPECT_EQ(tokens("choices"), 2);  // "t" of true, and the end
  EXPECT_GT(tokens("completion"), 10);
}

}  // namespace
}  // namespace retort
