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
#include "cli/stop_signals.h"
#include "model/store/target.h"
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

Recipe RecipeOf(const TrainFlags& flags) {
  std::vector<std::string> overrides = flags.set;
  if (flags.steps > 0) overrides.push_back(Cat("train.steps=", flags.steps));
  if (flags.threads > 0) overrides.push_back(Cat("train.threads=", flags.threads));
  if (!flags.device.empty()) overrides.push_back(Cat("model.device=", flags.device));
  if (!flags.compute.empty()) overrides.push_back(Cat("model.compute=", flags.compute));
  return ReadRecipe(flags.recipe, overrides);
}

FolderState Prepare(const TrainFlags& flags, const Recipe& recipe, const Path& folder) {
  const auto changed = [&](const std::string& old) {
    std::vector<std::string> keys =
        ChangedKeys(ParseRecipe(old, (folder / "recipe.json").string(), folder), recipe);
    std::erase(keys, "train.threads");  // the result does not depend on it
    return keys;
  };
  return PrepareRunFolder(folder, flags.resume, DumpJson(ResolvedJson(recipe), 2) + "\n", changed);
}

RunSummary TrainWithBar(TrainingSession& session, const Path& folder) {
  const Recipe& recipe = session.recipe();
  const TrainRecipe& t = recipe.train;
  const RunOptions options{folder, session.total_steps(), t.checkpoint_every,
                           t.keep, t.eval_every,          recipe.name};
  ProgressBar bar("train");
  return session.Run(
      options,
      [&](const RunProgress& p) {
        if (p.eval_loss)
          bar.PrintLine(Cat("step ", p.metrics.step, "  held-out loss ", *p.eval_loss));
        bar.Update(p.metrics.step, p.total_steps, ProgressText(p));
      },
      [] { return StopSignals::Caught() != 0; });
}

void NoteStart(const TrainingSession& session, const Path& folder, bool resume) {
  for (const std::string& line : session.Describe()) Note(line);
  Note(Cat("sample   ", session.ShowFirstExample()));
  if (!resume) return;
  const auto place = LastCheckpoint(folder / "checkpoints");
  Note(place ? Cat("resume   after step ", place->step, " (", place->folder.string(), ")")
             : Cat("resume   ", folder.string(), " has no checkpoint: from the first step"));
}

// Says how to go on after a signal. Always throws.
[[noreturn]] void EndStopped(const TrainFlags& flags, const Path& folder, const std::string& done) {
  Note(Cat("retort: stopped by signal ", StopSignals::Caught(), ": ", done,
           "; to go on: retort train ", flags.recipe, " --run ", folder.string(),
           " --resume, with the same --set"));
  throw ExitWith{128 + StopSignals::Caught()};
}

std::string SavedText(const RunSummary& summary, const TrainingSession& session,
                      const Path& folder) {
  if (summary.steps == 0) return "no step was taken yet";
  return Cat("step ", summary.steps, " of ", session.total_steps(), " is done and saved in ",
             (folder / "checkpoints" / Cat("step-", summary.steps)).string());
}

void PrintSummary(const RunSummary& summary, const TrainingSession& session, const Path& folder,
                  bool json) {
  if (json) {
    Json result = SummaryJson(summary);
    result["run"] = folder.string();
    result["trained"] = summary.trained.string();
    result["compute"] = std::string(NameOf(session.compute()));
    result["device"] = session.backend().name();
    return PrintJson(result);
  }
  PrintLine(Cat("trained ", summary.steps, " steps in ", DurationText(summary.seconds), ": loss ",
                summary.loss, summary.eval_loss ? Cat(", held-out loss ", *summary.eval_loss) : "",
                summary.start_eval_loss ? Cat(" (", *summary.start_eval_loss, " before)") : "",
                "\n  ", summary.trained.string(), "\n  ", (folder / "report.html").string()));
  for (const std::string& note : summary.notes) PrintLine(Cat("  ", note));
}

// What follows a finished training: the exports, unless there is nothing worth exporting.
void EndFinished(const TrainFlags& flags, const Recipe& recipe, const Path& folder,
                 const std::string& diverged) {
  if (!diverged.empty()) {
    Note(Cat("retort: the run diverged: ", diverged,
             "; what it trained is of no use: train again with a lower train.lr or a longer "
             "train.warmup"));
    throw ExitWith{1};
  }
  const std::vector<std::string> exported = ExportTrained(recipe, folder);
  if (flags.json) return;
  for (const std::string& line : exported) PrintLine(Cat("  ", line));
}

void RunFinished(const TrainFlags& flags, const Recipe& recipe, const Path& folder) {
  const Path file = folder / "summary.json";
  const Json summary = ReadJson(file);
  Note(Cat(folder.string(), ": the run is finished"));
  if (flags.json) PrintJson(summary);
  EndFinished(flags, recipe, folder, GetString(summary, "diverged", file.string(), ""));
}

// What can be known before the model is read.
void CheckPlaces(const TrainFlags& flags, const Recipe& recipe, const Path& folder) {
  if (!flags.resume) RefuseUsedFolder(folder);
  CheckTarget(folder / "recipe.json", TargetKind::kFile);
  CheckExports(recipe, folder);
}

void Run(const TrainFlags& flags) {
  const Recipe given = RecipeOf(flags);
  const Path folder = flags.run.empty() ? Path("runs") / given.name : Path(flags.run);
  CheckPlaces(flags, given, folder);
  std::unique_ptr<FileLock> lock;
  if (std::filesystem::exists(folder)) lock = LockRunFolder(folder);

  TrainingSession session(given);
  const Recipe& recipe = session.recipe();
  if (!lock) lock = LockRunFolder(folder);
  if (Prepare(flags, recipe, folder) == FolderState::kFinished)
    return RunFinished(flags, recipe, folder);

  NoteStart(session, folder, flags.resume);
  RunSummary summary;
  {
    const StopSignals signals;
    summary = TrainWithBar(session, folder);
  }
  if (summary.stopped) EndStopped(flags, folder, SavedText(summary, session, folder));
  PrintSummary(summary, session, folder, flags.json);
  if (StopSignals::Caught() != 0) EndStopped(flags, folder, "the training is finished");
  EndFinished(flags, recipe, folder, summary.diverged);
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
