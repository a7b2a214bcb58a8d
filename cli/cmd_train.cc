// SPDX-License-Identifier: Apache-2.0
// retort train RECIPE: LoRA, QLoRA, or every weight.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "base/threads.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/progress.h"
#include "recipes/recipe_reader.h"
#include "session/session.h"

namespace retort {
namespace {

struct TrainFlags {
  std::string recipe, run, device, compute;
  std::vector<std::string> set;
  int64_t steps = 0;
  int threads = 0;
  bool resume = false, json = false;
};

std::string ProgressText(const RunProgress& p) {
  char text[160];
  std::snprintf(text, sizeof text, "loss %.4f  lr %.2e  %s tok/s  %s left  %s", p.metrics.loss,
                p.metrics.lr, CountText(p.tokens_per_second).c_str(),
                DurationText(p.seconds_left).c_str(), BytesText(p.peak_bytes).c_str());
  return text;
}

void Run(const TrainFlags& flags) {
  std::vector<std::string> overrides = flags.set;
  if (flags.steps > 0) overrides.push_back(Cat("train.steps=", flags.steps));
  if (flags.threads > 0) overrides.push_back(Cat("train.threads=", flags.threads));
  if (!flags.device.empty()) overrides.push_back(Cat("model.device=", flags.device));
  if (!flags.compute.empty()) overrides.push_back(Cat("model.compute=", flags.compute));
  TrainingSession session(ReadRecipe(flags.recipe, overrides));
  const Recipe& recipe = session.recipe();
  const Path folder = flags.run.empty() ? Path("runs") / recipe.name : Path(flags.run);
  const auto changed = [&](const std::string& old) {
    std::vector<std::string> keys =
        ChangedKeys(ParseRecipe(old, (folder / "recipe.json").string(), folder), recipe);
    std::erase(keys, "train.threads");  // the result does not depend on it
    return keys;
  };
  const FolderState state =
      PrepareRunFolder(folder, flags.resume, DumpJson(ResolvedJson(recipe), 2) + "\n", changed);
  if (state == FolderState::kFinished) {
    const Json summary = ReadJson(folder / "summary.json");
    Note(Cat(folder.string(), ": the run is finished"));
    if (flags.json) PrintJson(summary);
    return;
  }

  for (const std::string& line : session.Describe()) Note(line);
  Note(Cat("sample   ", session.ShowFirstExample()));
  RunSummary summary;
  {
    ProgressBar bar("train");
    const TrainRecipe& t = recipe.train;
    const RunOptions options{folder, session.total_steps(), t.checkpoint_every,
                             t.keep, t.eval_every,          recipe.name};
    summary = session.Run(options, [&](const RunProgress& p) {
      if (p.eval_loss)
        bar.PrintLine(Cat("step ", p.metrics.step, "  held-out loss ", *p.eval_loss));
      bar.Update(p.metrics.step, p.total_steps, ProgressText(p));
    });
  }
  const std::vector<std::string> exported = ExportTrained(recipe, folder);
  Json result = SummaryJson(summary);
  result["run"] = folder.string();
  result["trained"] = summary.trained.string();
  result["compute"] = std::string(NameOf(session.compute()));
  result["device"] = session.backend().name();
  if (flags.json) return PrintJson(result);
  PrintLine(Cat("trained ", summary.steps, " steps in ", DurationText(summary.seconds), ": loss ",
                summary.loss, summary.eval_loss ? Cat(", held-out loss ", *summary.eval_loss) : "",
                "\n  ", summary.trained.string(), "\n  ", (folder / "report.html").string()));
  for (const std::string& note : summary.notes) PrintLine(Cat("  ", note));
  for (const std::string& line : exported) PrintLine(Cat("  ", line));
}

}  // namespace

void AddTrain(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("train", "Train an adapter (or every weight) as a recipe says");
  auto flags = std::make_shared<TrainFlags>();
  command->add_option("recipe", flags->recipe, "recipe file (JSON with comments)")->required();
  command->add_option("--set", flags->set, "a.b=VALUE: overrides a key of the recipe")
      ->allow_extra_args(false);
  command->add_option("--run", flags->run, "the run's folder (default: runs/NAME)");
  command->add_option("--steps", flags->steps, "as --set train.steps=N")
      ->check(CLI::Range(int64_t{1}, kMostCount));
  command->add_option("--device", flags->device,
                      "as --set model.device=...: auto, cpu or cuda[:N]");
  command->add_option("--threads", flags->threads, "as --set train.threads=N")
      ->check(CLI::Range(1, kMostThreads));
  command->add_option("--compute", flags->compute,
                      "as --set model.compute=...: auto, f32, bf16 or int8");
  command->add_flag("--resume", flags->resume, "continue from the last complete checkpoint");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
