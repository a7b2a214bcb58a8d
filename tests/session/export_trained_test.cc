// SPDX-License-Identifier: Apache-2.0
// What a run exports of what it trained.
#include <gtest/gtest.h>

#include "base/error.h"
#include "data/model_tokenizer.h"
#include "export/gguf_export.h"
#include "export/merge.h"
#include "tests/session/small_runs.h"

namespace retort {
namespace {

class ExportTrainedTest : public SmallRuns {
 protected:
  // The weights of the run's adapter merged by itself.
  Path MergedAnew(const Path& run) const {
    const Path out = folder_ / "merged-anew";
    Merge({{}, run / "adapter", out, ""});
    return out / "model.safetensors";
  }
};

// What a GGUF base becomes: a folder of every trained weight, a merged folder, and GGUF files of
// both.
TEST_F(ExportTrainedTest, AGgufBaseBecomesAFolder) {
  WriteGguf(OpenModel(folder_ / "model"), folder_ / "m.gguf", {WeightFormat::kQ8_0});
  const std::string gguf = "model.path=" + (folder_ / "m.gguf").string();
  for (const char* kind : {"none", "lora"}) {
    SCOPED_TRACE(kind);
    std::vector<std::string> settings = {gguf, Cat("adapter.kind=", kind), "train.lr=1e-2",
                                         "export.gguf=[\"f32\"]"};
    const bool whole = std::string(kind) == "none";
    if (whole) settings.insert(settings.end(), {"adapter.rank=16", "adapter.alpha=32"});
    Run(kind, settings);
    const Recipe recipe = RecipeOf(settings);
    CheckExports(recipe, folder_ / kind);
    ExportTrained(recipe, folder_ / kind);
    const ModelFiles folder = OpenModel(folder_ / Cat(kind, whole ? "/model" : "/export/merged"));
    EXPECT_EQ(folder.stored_format(), WeightFormat::kF32);
    EXPECT_EQ(folder.config.layers(), 2);
    EXPECT_EQ(LoadTokenizer(folder)->Encode("some text"),
              LoadTokenizer(OpenModel(folder_ / "m.gguf"))->Encode("some text"));
    EXPECT_TRUE(std::filesystem::exists(folder_ / kind / "export" / Cat(recipe.name, "-f32.gguf")));
  }
}

TEST_F(ExportTrainedTest, ExportsWhatIsNotExportedYet) {
  const std::vector<std::string> settings = {"export.gguf=[\"q8_0\", \"f32\"]"};
  Run("run", settings);
  const Recipe recipe = RecipeOf(settings);
  EXPECT_EQ(ExportTrained(recipe, folder_ / "run").size(), 3u);
  EXPECT_TRUE(ExportTrained(recipe, folder_ / "run").empty());
  const Path gguf = folder_ / "run/export" / Cat(recipe.name, "-f32.gguf");
  const std::string before = Sha256(ReadText(gguf));
  std::filesystem::remove(gguf);
  EXPECT_EQ(ExportTrained(recipe, folder_ / "run").size(), 1u);
  EXPECT_EQ(Sha256(ReadText(gguf)), before);
  // Another adapter in the folder: nothing of the old one passes for its export.
  Run("other", {"train.seed=2"});
  std::filesystem::remove_all(folder_ / "run/adapter");
  std::filesystem::copy(folder_ / "other/adapter", folder_ / "run/adapter");
  EXPECT_EQ(ExportTrained(recipe, folder_ / "run").size(), 3u);
  EXPECT_NE(Sha256(ReadText(gguf)), before);
  // What the run has not put there stays.
  std::filesystem::remove(folder_ / "run/exports.json");
  ExpectRefused([&] { ExportTrained(recipe, folder_ / "run"); }, {"merged", "is there already"});
}

TEST_F(ExportTrainedTest, ALengthenedRunExportsAnew) {
  std::vector<std::string> settings = {"export.gguf=[\"q8_0\"]"};
  Run("run", settings);
  const Path run = folder_ / "run";
  EXPECT_EQ(ExportTrained(RecipeOf(settings), run).size(), 2u);
  const Path gguf = run / "export" / Cat(RecipeOf(settings).name, "-q8_0.gguf");
  const std::string before = Sha256(ReadText(gguf));
  std::filesystem::remove(run / "summary.json");
  settings.emplace_back("train.steps=12");
  const Recipe longer = RecipeOf(settings);
  CheckExports(longer, run);
  Run("run", settings);
  EXPECT_EQ(ExportTrained(longer, run).size(), 2u);
  EXPECT_NE(Sha256(ReadText(gguf)), before);
  EXPECT_EQ(Sha256(ReadText(run / "export/merged/model.safetensors")),
            Sha256(ReadText(MergedAnew(run))));
  // The run is the same whatever it is called.
  const Path came_from = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  EXPECT_TRUE(ExportTrained(longer, "run").empty());
  CheckExports(longer, "run");
  std::filesystem::current_path(came_from);
  // What it exported is a part of it, which --force removes.
  RemoveRun(run);
  EXPECT_FALSE(std::filesystem::exists(run / "exports.json"));
}

// Whatever else stands where the run exports stays, and is found before the training.
TEST_F(ExportTrainedTest, WhatTheRunHasNotWrittenStays) {
  std::vector<std::string> settings = {"export.gguf=[\"q8_0\"]",
                                       "export.out=" + (folder_ / "out").string()};
  Run("a", settings);
  const Recipe recipe = RecipeOf(settings);
  const Path merged = folder_ / "out/merged";
  const Path gguf = folder_ / "out" / Cat(recipe.name, "-q8_0.gguf");
  std::filesystem::create_directories(folder_ / "out");
  folder_.Put("out/" + gguf.filename().string(), "somebody's");
  ExpectRefused([&] { CheckExports(recipe, folder_ / "a"); }, {"q8_0.gguf", "is there already"});
  ExpectRefused([&] { ExportTrained(recipe, folder_ / "a"); }, {"q8_0.gguf", "is there already"});
  EXPECT_EQ(ReadText(gguf), "somebody's");
  std::filesystem::remove(gguf);
  EXPECT_EQ(ExportTrained(recipe, folder_ / "a").size(), 1u);
  CheckExports(recipe, folder_ / "a");
  // A copy of the run has not written it, nor is it removed with the run that begins anew.
  std::filesystem::copy(folder_ / "a", folder_ / "b", std::filesystem::copy_options::recursive);
  ExpectRefused([&] { CheckExports(recipe, folder_ / "b"); }, {"merged", "is there already"});
  ExpectRefused([&] { CheckExports(recipe, folder_ / "a", true); }, {"merged", "is there already"});
  // The run's folder with somebody's notes.
  folder_.Put("out/merged/notes.txt", "precious");
  ExpectRefused([&] { CheckExports(recipe, folder_ / "a"); }, {"merged", "is there already"});
  ExpectRefused([&] { ExportTrained(recipe, folder_ / "a"); }, {"merged", "is there already"});
  EXPECT_EQ(ReadText(merged / "notes.txt"), "precious");
}

TEST_F(ExportTrainedTest, AnExportStaysUntilItsSuccessorIsWhole) {
  std::vector<std::string> settings = {"export.gguf=[\"q8_0\"]"};
  Run("run", settings);
  const Path run = folder_ / "run", merged = run / "export/merged/model.safetensors";
  ExportTrained(RecipeOf(settings), run);
  CheckExports(RecipeOf(settings), run, true);  // --force removes it with the run
  const std::string before = Sha256OfFile(merged);
  std::filesystem::remove(run / "summary.json");
  settings = {"export.gguf=[\"f32\"]", "train.steps=12"};
  Run("run", settings);
  const Recipe longer = RecipeOf(settings);
  std::filesystem::rename(folder_ / "model", folder_ / "gone");
  EXPECT_THROW(ExportTrained(longer, run), Error);
  EXPECT_EQ(Sha256OfFile(merged), before);
  std::filesystem::rename(folder_ / "gone", folder_ / "model");
  // A GGUF that is no longer asked for stays, and is named; asked for again it is replaced.
  const auto said = ExportTrained(longer, run);
  ASSERT_EQ(said.size(), 3u);
  EXPECT_NE(said[2].find("-q8_0.gguf: is of what the run had trained before"), std::string::npos);
  EXPECT_NE(Sha256OfFile(merged), before);
  CheckExports(RecipeOf({"export.gguf=[\"q8_0\"]", "train.steps=12"}), run);
  EXPECT_EQ(ExportTrained(RecipeOf({"export.gguf=[\"q8_0\"]"}), run).size(), 1u);
}

}  // namespace
}  // namespace retort
