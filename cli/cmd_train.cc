// SPDX-License-Identifier: Apache-2.0
// retort train RECIPE: LoRA, QLoRA, or every weight.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/shell_word.h"
#include "base/threads.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/plan_check.h"
#include "cli/progress.h"
#include "cli/rows_progress.h"
#include "cli/stop_signals.h"
#include "model/store/target.h"
#include "recipes/recipe_reader.h"
#include "session/resume.h"
#include "session/session.h"
#include "train/plot.h"

namespace retort {
namespace {

constexpr double kPlannedSeconds = 2;  // of counting memory, before the training

struct TrainFlags {
  std::string recipe, run, device, compute;
  std::vector<std::string> set;
  int64_t steps = 0;
  int threads = 0;
  bool resume = false, force = false, json = false, no_plan = false;
};

// What a person sees of a run while it is under way.
class TrainProgress {
 public:
  void Show(const RunProgress& p, ProgressBar& bar) {
    if (!p.note.empty()) bar.PrintLine(p.note);
    if (p.evaluation) {
      held_out_ = p.evaluation->loss;
      bar.PrintLine(EvaluationText(*p.evaluation));
    }
    seen_ = kKept * seen_ + 1 - kKept;
    smoothed_ = kKept * smoothed_ + (1 - kKept) * p.metrics.loss;
    bar.Update(p.metrics.step, p.total_steps, Items(p));
  }

 private:
  static constexpr double kKept = 0.9;  // of the smoothed loss, at each step

  std::vector<ProgressItem> Items(const RunProgress& p) const {
    const auto number = [](const char* format, double value) {
      char text[48];
      std::snprintf(text, sizeof text, format, value);
      return std::string(text);
    };
    std::vector<ProgressItem> items = {{number("epoch %.2f", p.metrics.epoch), 5},
                                       {number("loss %.4f", smoothed_ / seen_), 0}};
    if (held_out_) items.push_back({number("held-out %.4f", *held_out_), 2});
    items.push_back({number("lr %.2e", p.metrics.lr), 6});
    items.push_back({CountText(p.tokens_per_second) + " tok/s", 3});
    items.push_back({DurationText(p.seconds_left) + " left", 1});
    items.push_back({BytesText(p.peak_bytes), 4});
    return items;
  }
  // "step 20  held-out loss 0.31  exact 0.91"
  static std::string EvaluationText(const EvaluationPoint& point) {
    std::string text = Cat("step ", point.step, "  held-out loss ", ShortNumber(point.loss));
    for (const auto& [name, value] : point.extras) text += Cat("  ", name, " ", ShortNumber(value));
    return text;
  }

  double smoothed_ = 0, seen_ = 0;  // the mean over the steps, later ones with more weight
  std::optional<double> held_out_;
};

Recipe RecipeOf(const TrainFlags& flags) {
  std::vector<std::string> overrides = flags.set;
  if (flags.steps > 0) overrides.push_back(Cat("train.steps=", flags.steps));
  if (flags.threads > 0) overrides.push_back(Cat("train.threads=", flags.threads));
  if (!flags.device.empty()) overrides.push_back(Cat("model.device=", flags.device));
  if (!flags.compute.empty()) overrides.push_back(Cat("model.compute=", flags.compute));
  return ReadRecipe(flags.recipe, overrides);
}

RunSummary TrainWithBar(TrainingSession& session, const Path& folder) {
  ProgressBar bar("train");
  TrainProgress progress;
  return session.Run(
      folder, [&](const RunProgress& p) { progress.Show(p, bar); },
      [] { return StopSignals::Caught() != 0; });
}

void NoteStart(const TrainingSession& session, const Path& folder, bool resume) {
  for (const std::string& line : session.Describe()) Note(line);
  Note(Cat("run      ", folder.string()));
  Note(Cat("sample   ", session.ShowFirstExample()));
  if (!resume) return;
  const auto place = LastCheckpoint(folder / "checkpoints");
  Note(place ? Cat("resume   after step ", place->step, " (", place->folder.string(), ")")
             : Cat("resume   ", folder.string(), " has no checkpoint: from the first step"));
}

// Says how to go on after a signal. Always throws.
[[noreturn]] void EndStopped(const TrainFlags& flags, const Path& folder, const std::string& done) {
  Note(Cat("retort: stopped by signal ", StopSignals::Caught(), ": ", done,
           "; to go on: retort train ", ShellWord(flags.recipe), " --run ",
           ShellWord(folder.string()), " --resume, with the same --set"));
  throw ExitWith{128 + StopSignals::Caught()};
}

std::string SavedText(const RunSummary& summary, const TrainingSession& session,
                      const Path& folder) {
  if (summary.steps == 0) return "no step was taken yet";
  return Cat("step ", summary.steps, " of ", session.total_steps(), " is done and saved in ",
             (folder / "checkpoints" / Cat("step-", summary.steps)).string());
}

// ", held-out loss 0.31 (1.2 before), exact 0.91 (0.1 before), at step 300"
std::string HeldOutText(const RunSummary& summary) {
  if (!summary.best) return "";
  const auto before = [&](const std::string& name) -> std::string {
    if (!summary.start) return "";
    if (name == "loss") return Cat(" (", ShortNumber(summary.start->loss), " before)");
    const auto found = std::ranges::find(summary.start->extras, name, &Extra::first);
    return found == summary.start->extras.end() ? ""
                                                : Cat(" (", ShortNumber(found->second), " before)");
  };
  std::string text = Cat(", held-out loss ", ShortNumber(summary.best->loss), before("loss"));
  for (const auto& [name, value] : summary.best->extras)
    text += Cat(", ", name, " ", ShortNumber(value), before(name));
  if (summary.best->step != summary.steps) text += Cat(", at step ", summary.best->step);
  return text;
}

// The command that comes next.
std::string NextText(const Recipe& recipe, const Path& folder) {
  if (recipe.adapter.kind == "none")
    return Cat("next: retort export ", ShellWord(folder.string()), " --out ",
               ShellWord(recipe.name + ".gguf"), " --type q8_0");
  return Cat("next: retort merge --adapter ", ShellWord(folder.string()), " --out ",
             ShellWord(recipe.name + "-merged"));
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
  PrintLine(Cat("trained ", summary.steps,
                summary.early ? Cat(" of ", session.total_steps(), " steps (no better evaluation)")
                              : " steps",
                " in ", DurationText(summary.seconds), ": loss ", ShortNumber(summary.loss),
                HeldOutText(summary), "\n  ", summary.trained.string(), "\n  ",
                (folder / "report.html").string()));
  for (const std::string& note : summary.notes) PrintLine(Cat("  ", note));
  if (summary.diverged.empty()) PrintLine(NextText(session.recipe(), folder));
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
  if (flags.force && flags.resume)
    throw InputError("--force begins a run anew and --resume goes on with it: give one of them");
  if (flags.force) {
    RefuseOtherThanRun(folder);
  } else if (!flags.resume) {
    RefuseUsedFolder(folder);
  }
  CheckTarget(folder / "recipe.json", TargetKind::kFile);
  CheckExports(recipe, folder, flags.force);
}

void Run(const TrainFlags& flags) {
  const Recipe given = RecipeOf(flags);
  const bool last = flags.resume || flags.force;
  const Path folder =
      flags.run.empty() ? NumberedRunFolder(Path("runs") / given.name, last) : Path(flags.run);
  CheckPlaces(flags, given, folder);
  std::unique_ptr<FileLock> lock;
  if (std::filesystem::exists(folder)) lock = LockRunFolder(folder);

  OpenedRecipe opened = OpenRecipe(given, RowsProgress().Work(true));
  std::string& checkpointing = opened.recipe.train.gradient_checkpointing;
  if (checkpointing == "auto" && flags.resume) checkpointing = RecordedCheckpointing(folder);
  std::vector<std::string> notes;
  if (!flags.no_plan) RefuseWhatDoesNotFit(PlanWithin(opened, kPlannedSeconds, notes), opened);
  checkpointing = DecidedCheckpointing(checkpointing);
  TrainingSession session(opened);
  const Recipe& recipe = session.recipe();
  if (!lock) lock = LockRunFolder(folder);
  if (flags.force) RemoveRun(folder);
  if (PrepareRun(session, folder, flags.resume) == FolderState::kFinished)
    return RunFinished(flags, recipe, folder);

  NoteStart(session, folder, flags.resume);
  for (const std::string& note : notes) Note(Cat("note     ", note));
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
  command->add_option("--run", flags->run,
                      "the run's folder (default: runs/NAME, or runs/NAME-2 ... if there are runs; "
                      "with --resume or --force the last of these)");
  command->add_option("--steps", flags->steps, "as --set train.steps=N")
      ->check(CLI::Range(int64_t{1}, kMostCount));
  command->add_option("--device", flags->device,
                      "as --set model.device=...: auto, cpu or cuda[:N]");
  command->add_option("--threads", flags->threads, "as --set train.threads=N")
      ->check(CLI::Range(1, kMostThreads));
  command->add_option("--compute", flags->compute,
                      "as --set model.compute=...: auto, f32, bf16 or int8");
  command->add_flag("--no-plan", flags->no_plan, "do not count the memory first");
  command->add_flag("--resume", flags->resume, "continue from the last complete checkpoint");
  command->add_flag("--force", flags->force,
                    "begin anew in the folder of another run, which is removed first");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
