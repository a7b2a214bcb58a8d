// SPDX-License-Identifier: Apache-2.0
#include "tests/session/small_runs.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "export/init_model.h"
#include "recipes/recipe_reader.h"
#include "train/metrics.h"

namespace retort {
namespace {

struct Killed {};

}  // namespace

void SmallRuns::SetUp() {
  InitOptions init;
  init.config = ShapeNamed("2,32,4,2,64,300");
  WriteInitialModel(folder_ / "model", init);
  for (const char* name : {"rows.jsonl", "held.jsonl"}) folder_.Put(name, Rows(24));
}

std::string SmallRuns::Rows(int count) {
  std::string rows;
  for (int i = 0; i < count; ++i) {
    rows += DumpJson(Json{{"prompt", Cat("say ", i)}, {"completion", Cat(" ", i * 7 % 11)}}) + "\n";
  }
  return rows;
}

Recipe SmallRuns::RecipeOf(const std::vector<std::string>& settings) const {
  const std::string text =
      R"({"model": {"path": "model", "weights": "f32", "compute": "f32"},
        "adapter": {"rank": 4, "alpha": 8},
        "data": {"train": "rows.jsonl", "eval": "held.jsonl", "max_tokens": 64, "packing": false},
        "train": {"steps": 8, "batch_rows": 4, "lr": 1e-2, "warmup": 0, "checkpoint_every": 3,
                  "eval_every": 2}})";
  return ParseRecipe(text, "recipe", folder_.path(), settings);
}

RunSummary SmallRuns::Run(const std::string& name, const std::vector<std::string>& settings,
                          int64_t kill_at, int64_t stop_at) const {
  return RunUntil(name, settings, kill_at,
                  [stop_at](int64_t step) { return stop_at > 0 && step >= stop_at; });
}

RunSummary SmallRuns::RunUntil(const std::string& name, const std::vector<std::string>& settings,
                               int64_t kill_at,
                               const std::function<bool(int64_t step)>& stop) const {
  const Recipe recipe = RecipeOf(settings);
  const Path run = folder_ / name;
  const auto lock = LockRunFolder(run);
  PrepareRunFolder(run, true, DumpJson(ResolvedJson(recipe)),
                   [](const std::string&) { return std::vector<std::string>(); });
  TrainingSession session(recipe);
  int64_t step = 0;
  try {
    return session.Run(
        run,
        [&](const RunProgress& p) {
          step = p.metrics.step;
          if (step == kill_at) throw Killed();
        },
        [&] { return stop(step); });
  } catch (const Killed&) {
    return {};
  }
}

std::string SmallRuns::AdapterOf(const std::string& run) const {
  std::string all;
  for (const char* name : {"adapter_model.safetensors", "adapter_config.json", "retort.json"})
    all += Sha256(ReadText(folder_ / run / "adapter" / name)) + "\n";
  return all;
}

std::string SmallRuns::Course(const std::string& run) const {
  std::string text;
  for (const MetricsLine& line : ReadMetrics(folder_ / run / "metrics.jsonl")) {
    text += line.eval_loss ? Cat("eval ", line.metrics.step, " ", *line.eval_loss, "\n")
                           : Cat("step ", line.metrics.step, " ", line.metrics.loss, "\n");
  }
  return text;
}

std::vector<std::string> SmallRuns::Checkpoints(const std::string& run) const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / run / "checkpoints"))
    names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

}  // namespace retort
