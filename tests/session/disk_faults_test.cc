// SPDX-License-Identifier: Apache-2.0
// Training with checkpoints, merging, exporting and teaching on a disk that fails, or with a
// process that ends, at every single change of the disk: what stands there is nothing or whole, and
// the same command afterwards ends as one that met no fault.
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "export/init_model.h"
#include "export/merge.h"
#include "export/verify.h"
#include "recipes/recipe_reader.h"
#include "session/session.h"
#include "session/teaching.h"
#include "tests/formats/support.h"
#include "tests/support/fault_at.h"

namespace retort {
namespace {

class DiskFaults : public ::testing::Test {
 protected:
  // A command that writes into `out`, and a digest of what it has written there; "": nothing.
  struct Command {
    std::function<void(const Path& out)> run;
    std::function<std::string(const Path& out)> digest;
    bool continues = false;  // parts of `out` may stand after a fault; the next run goes on there
  };

  void SetUp() override {
    InitOptions init;
    init.config = ShapeNamed("1,16,2,1,32,300");
    WriteInitialModel(folder_ / "model", init);
    std::string rows;
    for (int i = 0; i < 8; ++i)
      rows +=
          DumpJson(Json{{"prompt", Cat("say ", i)}, {"completion", Cat(" ", i * 7 % 5)}}) + "\n";
    folder_.Put("rows.jsonl", rows);
  }

  Recipe RecipeOf(const std::vector<std::string>& settings) const {
    return ParseRecipe(R"({"model": {"path": "model", "weights": "f32", "compute": "f32"},
        "adapter": {"rank": 2, "alpha": 4},
        "data": {"train": "rows.jsonl", "eval": "rows.jsonl", "max_tokens": 32, "packing": false},
        "train": {"steps": 2, "batch_rows": 4, "lr": 1e-2, "warmup": 0, "checkpoint_every": 1,
                  "eval_every": 2, "threads": 1}})",
                       "recipe", folder_.path(), settings);
  }
  void Train(const Path& run) const {
    const Recipe recipe = RecipeOf({});
    const auto lock = LockRunFolder(run);
    PrepareRunFolder(run, true, DumpJson(ResolvedJson(recipe)),
                     [](const std::string&) { return std::vector<std::string>(); });
    TrainingSession session(recipe);
    session.Run(run, nullptr, nullptr);
  }

  // All files of a folder, or the file, by name and content.
  static std::string DigestOf(const Path& path) {
    if (!std::filesystem::exists(path)) return "";
    if (!std::filesystem::is_directory(path)) return Sha256(ReadText(path));
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
      if (entry.is_directory()) continue;
      files.push_back(Cat(entry.path().lexically_relative(path).string(), " ",
                          Sha256(ReadText(entry.path())), "\n"));
    }
    std::sort(files.begin(), files.end());
    return Join(files, "");
  }
  // Names of temporary files and folders under the test's folder.
  std::string Leftovers() const {
    std::string names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(".partial") || name.ends_with(".untested")) names += name + " ";
    }
    return names;
  }

  // Runs into an empty place with the fault at the k-th change. Returns whether it met the fault.
  bool Meets(const Command& command, const Path& out, int64_t k, Fault fault) const {
    if (fault == Fault::kCrash) return CrashesAt(k, [&] { command.run(out); });
    const FaultAt at(k, fault);
    try {
      command.run(out);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kFailure) << e.what();
      EXPECT_NE(std::string(e.what()).find(folder_.path().string()), std::string::npos) << e.what();
      EXPECT_GT(at.changes(), k) << e.what();
      return true;
    }
    return at.changes() > k;
  }

  void Drive(const Command& command) const {
    const Path out = folder_ / "out";
    command.run(out);
    const std::string whole = command.digest(out);
    ASSERT_NE(whole, "");
    for (const Fault fault : {Fault::kNoSpace, Fault::kInputOutput, Fault::kCrash}) {
      int64_t k = 0;
      for (bool met = true; met; ++k) {
        SCOPED_TRACE(Cat("fault ", static_cast<int>(fault), " at change ", k));
        std::filesystem::remove_all(out);
        met = Meets(command, out, k, fault);
        const std::string after = command.digest(out);
        EXPECT_TRUE(command.continues || after.empty() || after == whole);
        if (command.continues || after.empty()) command.run(out);
        ASSERT_EQ(command.digest(out), whole);
        // What a killed process leaves, the next writer removes.
        EXPECT_TRUE(Leftovers().empty() || (fault == Fault::kCrash && after == whole))
            << Leftovers();
      }
      EXPECT_GT(k, 5) << "changes of the disk are met";
    }
  }

  // In memory where that can be had: thousands of fsyncs would wait for a disk.
  TemporaryFolder folder_{::access("/dev/shm", W_OK) == 0 ? Path("/dev/shm")
                                                          : Path(::testing::TempDir())};
};

TEST_F(DiskFaults, ATrainingRunGoesOnToTheSameAdapter) {
  const auto adapter = [](const Path& out) { return DigestOf(out / "adapter"); };
  Drive({[this](const Path& out) { Train(out); }, adapter, true});
}

TEST_F(DiskFaults, AMergedModelIsWholeOrAbsent) {
  Train(folder_ / "run");
  Drive({[this](const Path& out) {
           MergeOptions options;
           options.base = folder_ / "model";
           options.adapter = folder_ / "run/adapter";
           options.out = out;
           options.threads = 1;
           options.force = true;
           Merge(options);
         },
         DigestOf});
}

TEST_F(DiskFaults, AnExportIsWholeOrAbsent) {
  Drive({[this](const Path& out) {
           GgufExportOptions options;
           options.threads = 1;
           ExportGguf(OpenModel(folder_ / "model"), out, options);
         },
         DigestOf});
}

TEST_F(DiskFaults, ATeachersCacheGoesOnToTheSameBytes) {
  const auto teach = [this](const Path& out) {
    const Recipe recipe = RecipeOf({Cat("teacher.path=\"", (folder_ / "model").string(), "\""),
                                    Cat("teacher.cache=\"", out.string(), "\""),
                                    "teacher.weights=\"f32\"", "teacher.top_k=8"});
    TeachingSession(recipe, TeachingSession::Work::kCache).Cache({});
  };
  Drive({teach, DigestOf, true});
}

}  // namespace
}  // namespace retort
