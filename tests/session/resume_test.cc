// SPDX-License-Identifier: Apache-2.0
// Runs that are stopped, killed, resumed on other inputs, or have learnt nothing.
#include "session/resume.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/model_tokenizer.h"
#include "export/gguf_export.h"
#include "export/init_model.h"
#include "model/store/fingerprint.h"
#include "recipes/recipe_reader.h"
#include "session/session.h"
#include "tests/formats/support.h"
#include "tests/session/small_runs.h"
#include "train/metrics.h"

namespace retort {
namespace {

class ResumeTest : public SmallRuns {};

TEST_F(ResumeTest, AStoppedRunHasSavedItsLastStepAndGoesOnToTheSameBytes) {
  Run("straight");
  const RunSummary stopped = Run("stopped", {}, 0, 5);
  EXPECT_TRUE(stopped.stopped);
  EXPECT_EQ(stopped.steps, 5);
  EXPECT_EQ(Checkpoints("stopped"), (std::vector<std::string>{"step-3", "step-5"}));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "stopped/summary.json"));
  const RunSummary resumed = Run("stopped");
  EXPECT_FALSE(resumed.stopped);
  EXPECT_EQ(AdapterOf("straight"), AdapterOf("stopped"));
  EXPECT_EQ(Course("straight"), Course("stopped"));
}

// Asked at every moment where it looks: between steps, in the evaluation before the first one, in
// those between steps, and in the last one.
TEST_F(ResumeTest, AnEvaluationThatIsStoppedIsMadeByTheRunThatResumes) {
  const std::vector<std::string> settings = {
      R"(train.eval_metrics=["exact"])", "train.best_by=exact", "train.steps=5", "train.samples=1"};
  Run("straight", settings);
  int64_t moment = 0, in_evaluations = 0;
  for (bool stopped = true; stopped; moment += 3) {
    SCOPED_TRACE(moment);
    const std::string name = Cat("stopped", moment);
    int64_t asked = 0, last_step = 0, at_step = 0;
    const RunSummary summary = RunUntil(name, settings, 0, [&](int64_t step) {
      at_step = step == last_step ? at_step + 1 : 0;
      last_step = step;
      return asked++ >= moment;
    });
    stopped = summary.stopped;
    in_evaluations += stopped && at_step > 0;
    EXPECT_FALSE(Run(name, settings).stopped);
    EXPECT_EQ(AdapterOf("straight"), AdapterOf(name));
    EXPECT_EQ(Course("straight"), Course(name));
  }
  EXPECT_GT(in_evaluations, 10);
}

// Whatever an adapter has beside A and B comes back from a checkpoint; what was taken out of the
// base is computed again.
TEST_F(ResumeTest, EveryKindOfAdapterGoesOnToTheSameBytes) {
  const std::vector<std::vector<std::string>> kinds = {
      {"adapter.dora=true", "adapter.lr_ratio=4"},
      {"adapter.initialise=pissa"},
      {"adapter.initialise=pissa_niter_4", "adapter.rslora=true"},
      {"adapter.initialise=olora", R"(adapter.rank_pattern={"up_proj": 2})"},
      {R"(adapter.targets=["q_proj","embed_tokens"])", R"(adapter.modules_to_save=["norm"])"},
      {"adapter.trainable_tokens=[10,99]", "adapter.lora_bias=true", "adapter.layers=[1]"}};
  for (size_t i = 0; i < kinds.size(); ++i) {
    SCOPED_TRACE(kinds[i][0]);
    Run(Cat("straight", i), kinds[i]);
    Run(Cat("killed", i), kinds[i], 5);
    const RunSummary resumed = Run(Cat("killed", i), kinds[i]);
    EXPECT_EQ(resumed.steps, 8);
    EXPECT_EQ(AdapterOf(Cat("straight", i)), AdapterOf(Cat("killed", i)));
    EXPECT_EQ(Course(Cat("straight", i)), Course(Cat("killed", i)));
  }
}

// The last checkpoint stands, the evaluation after it and the summary do not; or do.
TEST_F(ResumeTest, KilledAfterTheLastCheckpointItEndsAsTheOthersDo) {
  const RunSummary straight = Run("straight");
  for (const bool evaluated : {false, true}) {
    SCOPED_TRACE(evaluated);
    const std::string name = Cat("late-", evaluated);
    Run(name);
    const Path metrics = folder_ / name / "metrics.jsonl";
    std::filesystem::remove(folder_ / name / "summary.json");
    if (!evaluated) {
      std::string text = ReadText(metrics);
      text.resize(text.rfind('\n', text.size() - 2) + 1);
      folder_.Put(name + "/metrics.jsonl", text);
    }
    const RunSummary resumed = Run(name);
    EXPECT_EQ(Course("straight"), Course(name));
    EXPECT_EQ(AdapterOf("straight"), AdapterOf(name));
    EXPECT_EQ(resumed.notes, straight.notes);
    EXPECT_EQ(resumed.best->loss, straight.best->loss);
    EXPECT_EQ(resumed.best->step, straight.best->step);
    EXPECT_EQ(resumed.start->loss, straight.start->loss);
    EXPECT_EQ(resumed.steps, 8);
  }
}

TEST_F(ResumeTest, SecondsAreThoseOfAllSessions) {
  Run("run", {}, 7);
  double steps = 0;
  const Path metrics = folder_ / "run/metrics.jsonl";
  std::string slow;
  for (const std::string& line : Split(ReadText(metrics), '\n')) {
    if (line.empty()) continue;
    Json j = ParseJson(line, "line");
    if (j.contains("seconds"))
      j["seconds"] = 100, steps += GetInt(j, "step", "line") <= 6 ? 100 : 0;
    slow += DumpJson(j) + "\n";
  }
  folder_.Put("run/metrics.jsonl", slow);
  EXPECT_EQ(steps, 600);
  EXPECT_GE(Run("run").seconds, steps);
}

TEST_F(ResumeTest, ChangedRowsAreRefused) {
  Run("run", {}, 5);
  folder_.Put("held.jsonl", Rows(23));
  ExpectRefused([&] { Run("run"); }, {"step-3/retort.json", "'data.eval'", "--run"});
  folder_.Put("held.jsonl", Rows(24));
  folder_.Put("rows.jsonl", ReplaceAll(Rows(24), "say 5", "ask 5"));
  ExpectRefused([&] { Run("run"); }, {"'data.train'"});
  folder_.Put("rows.jsonl", Rows(24));
  EXPECT_EQ(Run("run").steps, 8);
}

TEST_F(ResumeTest, AChangedBaseIsRefused) {
  Run("run", {}, 5);
  const Path file = folder_ / "model/model.safetensors";
  std::string text = ReadText(file);
  text[text.size() - 4] ^= 1;
  folder_.Put("model/model.safetensors", text);
  ExpectRefused([&] { Run("run"); }, {"step-3/retort.json", "another base"});
}

TEST_F(ResumeTest, AChangedConfigurationIsRefused) {
  Run("run", {}, 5);
  Json config = ReadJson(folder_ / "model/config.json");
  config["rope_theta"] = 12345;
  WriteTextAtomically(folder_ / "model/config.json", DumpJson(config));
  ExpectRefused([&] { Run("run"); }, {"step-3/retort.json", "configuration"});
}

// A checkpoint of an older version holds the older fingerprint and no inputs.
TEST_F(ResumeTest, AnOlderCheckpointIsTaken) {
  Run("straight");
  Run("run", {}, 5);
  const Path manifest = folder_ / "run/checkpoints/step-3/retort.json";
  Json j = ReadJson(manifest);
  j.erase("inputs");
  j["base"]["fingerprint"] = OldFingerprint(OpenModel(folder_ / "model"));
  WriteTextAtomically(manifest, DumpJson(j));
  Run("run");
  EXPECT_EQ(AdapterOf("straight"), AdapterOf("run"));
}

TEST_F(ResumeTest, LeftoversOfKilledRunsGo) {
  Run("run", {}, 7);
  const Path run = folder_ / "run", checkpoints = run / "checkpoints";
  for (const char* name :
       {".step-9.0123456789abcdef.partial", ".step-3.fedcba9876543210.partial", "step-1"}) {
    std::filesystem::create_directories(checkpoints / name);
    WriteTextAtomically(checkpoints / name / "trainer.h5", "half");
  }
  std::filesystem::create_directories(run / ".adapter.0123456789abcdef.partial");
  WriteTextAtomically(run / ".recipe.json.0123456789abcdef.partial", "half");
  // Killed between the two renames that replace the adapter.
  std::filesystem::rename(run / "adapter", run / "adapter.old");
  Run("run");
  EXPECT_EQ(Checkpoints("run"), (std::vector<std::string>{"step-6", "step-8"}));
  for (const auto& entry : std::filesystem::directory_iterator(run)) {
    const std::string name = entry.path().filename().string();
    EXPECT_FALSE(name.starts_with(".") || name.ends_with(".old")) << name;
  }
  Run("straight");
  EXPECT_EQ(AdapterOf("straight"), AdapterOf("run"));
}

TEST_F(ResumeTest, RunsWithoutAFolderAreNumbered) {
  const auto next = [&](bool resume) {
    return NumberedRunFolder(folder_ / "runs/x", resume).filename().string();
  };
  EXPECT_EQ(next(false), "x");
  EXPECT_EQ(next(true), "x");
  for (const char* wanted : {"x", "x-2", "x-3"}) {
    EXPECT_EQ(next(false), wanted);
    MakeFolders(folder_ / "runs" / wanted);
    EXPECT_EQ(next(false), wanted);  // an empty folder is free
    WriteTextAtomically(folder_ / "runs" / wanted / "recipe.json", "{}");
    EXPECT_EQ(next(true), wanted);
  }
}

TEST_F(ResumeTest, OneProcessTrainsInAFolder) {
  const auto lock = LockRunFolder(folder_ / "run");
  ExpectRefused([&] { Run("run"); }, {(folder_ / "run").string(), "is writing it"});
  ExpectRefused([&] { LockRunFolder(folder_ / "rows.jsonl"); }, {"rows.jsonl", "is a file"});
}

TEST_F(ResumeTest, AFolderOfOtherThingsIsNoRun) {
  const auto same = [](const std::string&) { return std::vector<std::string>(); };
  ExpectRefused([&] { PrepareRunFolder(folder_ / "model", true, "{}", same); },
                {"model", "no recipe.json"});
  EXPECT_FALSE(std::filesystem::exists(folder_ / "model/recipe.json"));
}

TEST_F(ResumeTest, AnAdapterOfAnotherBaseIsNoStart) {
  Run("first");
  InitOptions init;
  init.config = ShapeNamed("2,32,4,2,64,300");
  init.seed = 2;
  std::filesystem::remove_all(folder_ / "model");
  WriteInitialModel(folder_ / "model", init);
  const std::string adapter = (folder_ / "first/adapter").string();
  ExpectRefused([&] { Run("second", {"adapter.init=" + adapter}); }, {adapter, "is not the base"});
  ExpectRefused(
      [&] {
        Run("third",
            {"teacher.path=" + (folder_ / "model").string(), "teacher.adapter=" + adapter});
      },
      {adapter, "is not the base"});
}

// At a rate of nothing no evaluation is better than the first.
TEST_F(ResumeTest, EndsEarlyWithoutABetterEvaluation) {
  const std::vector<std::string> settings = {"train.lr=1e-50", "train.early_stop=2",
                                             "train.steps=20"};
  const RunSummary summary = Run("early", settings);
  EXPECT_TRUE(summary.early);
  EXPECT_EQ(summary.steps, 6);  // evaluated after 2, 4 and 6
  EXPECT_EQ(summary.best->step, 2);
  // Killed after the evaluation that ends it, the run ends there when it is resumed.
  Run("early-killed", settings, 6);
  const RunSummary resumed = Run("early-killed", settings);
  EXPECT_TRUE(resumed.early);
  EXPECT_EQ(resumed.steps, 6);
  EXPECT_EQ(Course("early-killed"), Course("early"));
  EXPECT_FALSE(Run("late", {"train.early_stop=5", "train.steps=6"}).early);
}

TEST_F(ResumeTest, KeepsTheWeightsOfTheBestMetricAndSamples) {
  const std::vector<std::string> settings = {"train.best_by=exact", "train.samples=3",
                                             "train.steps=40", "train.eval_every=10"};
  const RunSummary summary = Run("exact", settings);
  ASSERT_TRUE(summary.best.has_value());
  const auto exact = [](const MetricsLine& line) {
    for (const auto& [name, value] : line.metrics.extras) {
      if (name == "exact") return value;
    }
    return -1.0;
  };
  double most = -1;
  int64_t lines = 0;
  for (const MetricsLine& line : ReadMetrics(folder_ / "exact" / "metrics.jsonl")) {
    if (!line.eval_loss) continue;
    ++lines;
    EXPECT_GE(exact(line), 0);
    most = std::max(most, exact(line));
  }
  EXPECT_EQ(lines, 4);
  EXPECT_EQ(summary.best->extras.front(), (Extra{"exact", most}));
  // Three at the beginning and at each of the four evaluations; a resumed run leaves the same.
  const std::string samples = ReadText(folder_ / "exact" / "samples.jsonl");
  EXPECT_EQ(std::ranges::count(samples, '\n'), 15);
  EXPECT_NE(samples.find("say 2"), std::string::npos);
  Run("exact-killed", settings, 25);
  Run("exact-killed", settings);
  EXPECT_EQ(ReadText(folder_ / "exact-killed" / "samples.jsonl"), samples);
  EXPECT_EQ(AdapterOf("exact-killed"), AdapterOf("exact"));
}

TEST_F(ResumeTest, AFinishedRunGoesOn) {
  const std::vector<std::string> constant = {"train.schedule=constant", "train.steps=8"};
  Run("short", constant);
  std::filesystem::remove(folder_ / "short" / "summary.json");
  const std::vector<std::string> longer = {"train.schedule=constant", "train.steps=12"};
  const RunSummary summary = Run("short", longer);
  EXPECT_EQ(summary.steps, 12);
  Run("long", longer);
  EXPECT_EQ(AdapterOf("short"), AdapterOf("long"));
}

// Of another recipe than began the run, only the length and what is done beside the steps.
TEST_F(ResumeTest, ARecipeIsRecordedIfItRuns) {
  const Path run = folder_ / "r";
  const auto prepare = [&](std::vector<std::string> settings) {
    settings.emplace_back("train.gradient_checkpointing=none");
    return PrepareRun(TrainingSession(RecipeOf(settings)), run, true);
  };
  const auto recorded = [&] { return ReadJson(run / "recipe.json")["train"]["steps"].get<int>(); };
  EXPECT_EQ(prepare({"train.steps=6"}), FolderState::kFresh);
  Run("r", {"train.steps=6"});
  EXPECT_EQ(prepare({"train.steps=6", "train.threads=1"}), FolderState::kFinished);
  EXPECT_THROW(prepare({"train.steps=6", "train.lr=1e-3"}), Error);
  EXPECT_THROW(prepare({"train.steps=5"}), Error);
  EXPECT_EQ(recorded(), 6);
  EXPECT_EQ(prepare({"train.steps=7"}), FolderState::kResumable);
  EXPECT_EQ(recorded(), 7);
  EXPECT_THROW(prepare({"train.steps=5"}), Error);  // the checkpoint is of step 6
  EXPECT_EQ(recorded(), 7);
}

TEST_F(ResumeTest, ARunWithoutGainSaysSo) {
  const auto says = [](const RunSummary& summary, const std::string& what) {
    return std::ranges::any_of(summary.notes, [&](const std::string& note) {
      return note.find(what) != std::string::npos;
    });
  };
  const RunSummary none = Run("none", {"train.lr=1e-50"});  // 0 as a float
  EXPECT_TRUE(says(none, "every B is 0")) << Join(none.notes, "; ");
  EXPECT_TRUE(says(none, "nothing was learnt that held-out rows show"));
  EXPECT_EQ(none.best->loss, none.start->loss);
  const RunSummary good = Run("good", {"train.steps=40"});
  EXPECT_FALSE(says(good, "every B is 0"));
  EXPECT_FALSE(says(good, "nothing was learnt"));
  EXPECT_EQ(good.diverged, "");
  const RunSummary wild = Run("wild", {"train.lr=100", "train.steps=20"});
  EXPECT_NE(wild.diverged, "");
  EXPECT_EQ(ReadJson(folder_ / "wild/summary.json")["diverged"], wild.diverged);
}

TEST_F(ResumeTest, AGgufBaseIsHeldAsItIsStored) {
  WriteGguf(OpenModel(folder_ / "model"), folder_ / "m.gguf", {WeightFormat::kQ8_0});
  const std::vector<std::string> settings = {"model.path=" + (folder_ / "m.gguf").string(),
                                             "model.weights=nf4"};
  const TrainingSession session(RecipeOf(settings));
  EXPECT_EQ(session.recipe().model.weights, "as-is");
  const std::string text = Join(session.Describe(), "\n");
  EXPECT_NE(text.find("weights  q8_0, as stored"), std::string::npos) << text;
  EXPECT_EQ(text.find("double quantisation"), std::string::npos) << text;
  Run("gguf", settings);
  EXPECT_EQ(ReadJson(folder_ / "gguf/adapter/retort.json")["base"]["weights"], "as-is");
}

TEST_F(ResumeTest, WhatTrainingCannotDoIsRefusedBeforeIt) {
  ExpectRefused([&] { TrainingSession(RecipeOf({"model.compute=int8"})); }, {"int8"});
  std::filesystem::create_directories(folder_ / "out/merged");
  folder_.Put("out/merged/x", "another run's");
  const std::string out = "export.out=" + (folder_ / "out").string();
  ExpectRefused([&] { CheckExports(RecipeOf({out}), folder_ / "run"); },
                {"out/merged", "is there already"});
  const std::string file = "export.out=" + (folder_ / "rows.jsonl").string();
  ExpectRefused([&] { CheckExports(RecipeOf({file}), folder_ / "run"); }, {"rows.jsonl"});
}

// Without it, which evaluation was the best is not known.
TEST_F(ResumeTest, MetricsThatEndBeforeTheCheckpointAreRefused) {
  Run("run", {}, 7);
  const Path metrics = folder_ / "run/metrics.jsonl";
  const std::string text = ReadText(metrics);
  folder_.Put("run/metrics.jsonl", text.substr(0, text.find('\n') + 1));
  ExpectRefused([&] { Run("run"); }, {"metrics.jsonl: ends after step 1", "step-6", "--force"});
  std::filesystem::remove(metrics);
  ExpectRefused([&] { Run("run"); }, {"metrics.jsonl: ends after step 0"});
  folder_.Put("run/metrics.jsonl", text);
  EXPECT_EQ(Run("run").steps, 8);
}

}  // namespace
}  // namespace retort
