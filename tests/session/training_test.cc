// SPDX-License-Identifier: Apache-2.0
// Whole runs of a tiny model: settings that must not change the result, and settings that must.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "export/init_model.h"
#include "recipes/recipe_reader.h"
#include "session/session.h"
#include "tests/formats/child_main.h"
#include "train/metrics.h"

int main(int argc, char** argv) { return retort::RunTestsOrHdf5Child(argc, argv); }

namespace retort {
namespace {

class TrainingTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const Path folder = Folder();
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    InitOptions init;
    init.config = ShapeNamed("2,32,4,2,64,300");
    WriteInitialModel(folder / "model", init);
    std::string rows;
    RandomStream random(MakeKey(3, RandomUse::kData));
    for (int i = 0; i < 40; ++i) {
      std::string digits;
      for (uint64_t n = 2 + random.Below(9); n > 0; --n)
        digits += static_cast<char>('0' + random.Below(10));
      rows += DumpJson(Json{{"prompt", "say " + digits}, {"completion", " " + digits}}) + "\n";
    }
    WriteTextAtomically(folder / "rows.jsonl", rows);
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(Folder()); }
  static Path Folder() {
    return Path(::testing::TempDir()) / Cat("retort_training_test_", ::getpid());
  }

  // Runs a recipe made of the common part and `settings` ("train.lr=1e-3"); returns its metrics.
  std::vector<MetricsLine> Run(const std::string& name, std::vector<std::string> settings,
                               int64_t stop_after = 0) {
    const std::string text = R"({"model": {"path": "model", "weights": "f32", "compute": "f32"},
        "adapter": {"rank": 4, "alpha": 8}, "data": {"train": "rows.jsonl", "max_tokens": 64, "packing": false},
        "train": {"steps": 8, "batch_rows": 4, "lr": 1e-2, "warmup": 0, "checkpoint_every": 3}})";
    const Recipe recipe = ParseRecipe(text, "recipe", Folder(), settings);
    const Path run = Folder() / name;
    const std::string resolved = DumpJson(ResolvedJson(recipe), 2);
    PrepareRunFolder(run, true, resolved,
                     [](const std::string&) { return std::vector<std::string>(); });
    TrainingSession session(recipe);
    struct Stopped {};
    try {
      session.Run(run, [&](const RunProgress& p) {
        if (p.metrics.step == stop_after) throw Stopped();
      });
    } catch (const Stopped&) {
    }
    return ReadMetrics(run / "metrics.jsonl");
  }

  static std::string Adapter(const std::string& name) {
    return Sha256(
        MappedFile::Open(Folder() / name / "adapter" / "adapter_model.safetensors")->bytes());
  }
  static std::vector<double> Losses(const std::vector<MetricsLine>& metrics) {
    std::vector<double> out;
    for (const MetricsLine& m : metrics) {
      if (!m.eval_loss) out.push_back(m.metrics.loss);
    }
    return out;
  }
};

TEST_F(TrainingTest, LearnsAndChangesEveryFactor) {
  const auto losses = Losses(Run("plain", {"train.steps=60"}));
  ASSERT_EQ(losses.size(), 60u);
  EXPECT_LT(losses.back(), losses.front() - 0.1);  // a frozen random head leaves little to gain
  const Recipe recipe = ParseRecipe(
      R"({"model": {"path": "model"}, "data": {"train": "rows.jsonl"}})", "r", Folder());
  const auto backend = MakeCpuBackend(1, Compute::kF32);
  const ModelFiles files = OpenModel(recipe.model.path);
  const auto trained = Adapter::Load(Folder() / "plain" / "adapter", files.layout, *backend);
  const auto fresh = Adapter::Make(trained->config(), files.layout, 1, *backend);
  const auto a = trained->parameters(), b = fresh->parameters();
  ASSERT_EQ(a.size(), 2u * 2 * 7);
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_NE(backend->ToFloats(a[i]->value), backend->ToFloats(b[i]->value))
        << a[i]->name << " was not trained";
  }
}

TEST_F(TrainingTest, GivesTheSameBytesAtAnyNumberOfThreads) {
  for (const char* weights : {"f32", "nf4", "bf16"}) {
    const std::string set = Cat("model.weights=", weights);
    Run(Cat("one_", weights), {set, "train.threads=1"});
    Run(Cat("three_", weights), {set, "train.threads=3"});
    EXPECT_EQ(Adapter(Cat("one_", weights)), Adapter(Cat("three_", weights))) << weights;
  }
}

// Rows of up to 20 tokens: a part of 1 token is a row by itself.
TEST_F(TrainingTest, ComputesAStepInPartsOfAnySize) {
  const auto whole = Losses(Run("uncut", {"train.part_tokens=4096"}));
  for (const char* tokens : {"1", "40"}) {
    const auto parts = Losses(Run(Cat("cut_", tokens), {Cat("train.part_tokens=", tokens)}));
    ASSERT_EQ(parts.size(), whole.size());
    for (size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(parts[i], whole[i], 1e-4 * whole[i]);
  }
}

TEST_F(TrainingTest, ResumesToTheSameBytes) {
  const std::vector<std::string> settings = {"adapter.dropout=0.2", "data.packing=true"};
  const auto straight = Run("straight", settings);
  Run("stopped", settings, /*stop_after=*/5);
  const auto resumed = Run("stopped", settings);
  EXPECT_EQ(Losses(straight), Losses(resumed));
  EXPECT_EQ(Adapter("straight"), Adapter("stopped"));
  ASSERT_EQ(resumed.size(), 8u);
  for (size_t i = 0; i < resumed.size(); ++i)
    EXPECT_EQ(resumed[i].metrics.step, static_cast<int64_t>(i) + 1);
}

TEST_F(TrainingTest, AccumulationAndCheckpointingChangeNothingButRounding) {
  const auto whole = Losses(Run("whole", {"adapter.dropout=0.3"}));
  const auto parts =
      Losses(Run("parts", {"adapter.dropout=0.3", "train.batch_rows=1", "train.accumulate=4"}));
  const auto blocks =
      Losses(Run("blocks", {"adapter.dropout=0.3", "train.gradient_checkpointing=block"}));
  ASSERT_EQ(whole.size(), parts.size());
  for (size_t i = 0; i < whole.size(); ++i) {
    EXPECT_NEAR(parts[i], whole[i], 1e-5 * whole[i]);
    EXPECT_NEAR(blocks[i], whole[i], 1e-5 * whole[i]);
  }
  EXPECT_NE(Losses(Run("undropped", {}))[2], whole[2]) << "dropout did nothing";
}

TEST_F(TrainingTest, TrainsEveryWeight) {
  const auto losses = Losses(
      Run("every", {"adapter.kind=none", "adapter.rank=16", "adapter.alpha=32", "train.steps=60"}));
  EXPECT_LT(losses.back(), 0.5 * losses.front());
  const ModelFiles before = OpenModel(Folder() / "model"),
                   after = OpenModel(Folder() / "every" / "model");
  for (const TensorSpec& spec : before.layout.tensors) {
    const Bytes old = before.tensors.Find(spec.name)->bytes,
                now = after.tensors.Find(spec.name)->bytes;
    EXPECT_FALSE(std::equal(old.begin(), old.end(), now.begin(), now.end()))
        << spec.name << " was not trained";
  }
}

TEST_F(TrainingTest, AnEvaluationKeepsTheBestAdapter) {
  const auto metrics =
      Run("eval", {"data.eval=" + (Folder() / "rows.jsonl").string(), "train.eval_every=2"});
  int evals = 0;
  for (const MetricsLine& m : metrics) evals += m.eval_loss.has_value();
  EXPECT_EQ(evals, 4);
  EXPECT_TRUE(std::filesystem::exists(Folder() / "eval" / "adapter" / "retort.json"));
}

TEST_F(TrainingTest, RefusesAFolderInUseAndAChangedRecipe) {
  const auto same = [](const std::string&) { return std::vector<std::string>(); };
  const auto changed = [](const std::string&) { return std::vector<std::string>{"train.lr"}; };
  const Path run = Folder() / "used";
  EXPECT_EQ(PrepareRunFolder(run, false, "{}", same), FolderState::kFresh);
  try {
    PrepareRunFolder(run, false, "{}", same);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("--resume"), std::string::npos);
  }
  EXPECT_EQ(PrepareRunFolder(run, true, "{}", same), FolderState::kResumable);
  try {
    PrepareRunFolder(run, true, "{}", changed);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("train.lr"), std::string::npos);
  }
}

TEST_F(TrainingTest, ADamagedCheckpointIsRefused) {
  Run("damaged", {}, /*stop_after=*/4);
  const Path file = Folder() / "damaged" / "checkpoints" / "step-3" / "trainer.h5";
  std::string bytes = ReadText(file);
  bytes[bytes.size() / 2] ^= 1;
  WriteTextAtomically(file, bytes);
  EXPECT_THROW(Run("damaged", {}), Error);
}

// A checkpoint of an older version, without a seal, and one of another user: refused with the
// command that converts it, after which the run ends with the bytes of one that never stopped.
TEST_F(TrainingTest, AForeignCheckpointIsConverted) {
  Run("never_stopped", {});
  const std::string state = std::getenv("XDG_STATE_HOME") ? std::getenv("XDG_STATE_HOME") : "";
  for (const std::string run : {"older", "other"}) {
    Run(run, {}, /*stop_after=*/4);
    const Path checkpoint = Folder() / run / "checkpoints" / "step-3";
    if (run == "older") {
      Json manifest = ReadJson(checkpoint / kManifestName);
      EXPECT_EQ(manifest.erase("seals"), 1u);
      WriteTextAtomically(checkpoint / kManifestName, DumpJson(manifest, 2));
    } else {
      ::setenv("XDG_STATE_HOME", (Folder() / "another-user").c_str(), 1);
    }
    try {
      Run(run, {});
      ADD_FAILURE() << run << ": read";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(Cat("`retort trust ", checkpoint.string(), "`")),
                std::string::npos)
          << e.what();
    }
    EXPECT_TRUE(TrustCheckpoint(checkpoint));
    EXPECT_FALSE(TrustCheckpoint(checkpoint));
    Run(run, {});
    ::setenv("XDG_STATE_HOME", state.c_str(), 1);
    EXPECT_EQ(Adapter(run), Adapter("never_stopped")) << run;
  }
}

// Trainer's states of strangers, who made the checksum too: converted, or refused in one line.
TEST_F(TrainingTest, AHostileCheckpointIsRefused) {
  Run("hostile", {}, /*stop_after=*/4);
  const Path folder = Folder() / "hostile" / "checkpoints" / "step-3";
  const std::string good = ReadText(folder / kTrainerState);
  const Json manifest = ReadJson(folder / kManifestName);
  RandomStream random(MakeKey(8, RandomUse::kData));
  int refused = 0;
  for (int i = 0; i < 30; ++i) {
    std::string bad = good;
    for (uint64_t n = 1 + random.Below(6); n > 0; --n) {
      constexpr char kBytes[] = {0, 1, 2, '\x80', '\xff'};
      bad[random.Below(std::min<size_t>(bad.size(), 8192))] = kBytes[random.Below(sizeof kBytes)];
    }
    WriteTextAtomically(folder / kTrainerState, bad);
    Json forged = manifest;
    forged["files"][kTrainerState] = Sha256(bad);
    WriteTextAtomically(folder / kManifestName, DumpJson(forged, 2));
    try {
      TrustCheckpoint(folder);
    } catch (const Error& e) {
      ++refused;
      EXPECT_EQ(std::string_view(e.what()).find('\n'), std::string_view::npos) << e.what();
    }
  }
  EXPECT_GT(refused, 3);
}

}  // namespace
}  // namespace retort
