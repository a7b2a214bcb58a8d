// SPDX-License-Identifier: Apache-2.0
// retort sweep RECIPE --over KEY=a,b,c: trains with several settings and compares the results.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "base/file_lock.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/stop_signals.h"
#include "recipes/recipe_reader.h"
#include "session/sweep.h"

namespace retort {
namespace {

struct SweepFlags {
  std::string recipe, out;
  std::vector<std::string> over, set;
  int64_t trials = 0, seed = 1;
  bool json = false;
};

// Becomes `retort` with these arguments. What it writes to standard output is dropped: what has
// come of it is in its folder.
[[noreturn]] void BecomeOwn(char* const* argv, pid_t parent) {
  // In a group of its own, so that the terminal's signals come through the sweep alone: a second
  // one would end the training at once. It ends in order if the sweep is gone.
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(1);
  const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null >= 0) ::dup2(null, STDOUT_FILENO);
  ::execv("/proc/self/exe", argv);
  ::_exit(127);
}

// Runs `retort` with these arguments and returns its exit status; passes on a signal that asks the
// sweep to stop.
int RunOwn(const std::vector<std::string>& arguments) {
  std::vector<std::string> own = {"retort"};
  own.insert(own.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(own.size() + 1);
  for (std::string& argument : own) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t parent = ::getpid(), child = ::fork();
  if (child < 0) throw Failure("a run cannot be started: ", ErrnoText());
  if (child == 0) BecomeOwn(argv.data(), parent);
  constexpr std::chrono::milliseconds kLook(50);
  bool told = false;
  for (int status = 0;;) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended < 0) throw Failure("a run cannot be waited for: ", ErrnoText());
    if (ended == child) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (const int signal = StopSignals::Caught(); signal != 0 && !std::exchange(told, true))
      ::kill(child, signal);
    std::this_thread::sleep_for(kLook);
  }
}

// What the folder's sweep is; one that was begun goes on only as the same.
void TakeFolder(const SweepFlags& flags, const std::vector<std::vector<std::string>>& runs) {
  const Json sweep = {{"recipe", std::filesystem::absolute(flags.recipe).string()},
                      {"set", flags.set},
                      {"runs", runs}};
  const Path file = Path(flags.out) / "sweep.json";
  if (std::filesystem::exists(file)) {
    if (ReadJson(file) != sweep)
      throw InputError(file.string(),
                       ": is another sweep; give the same recipe, --over and --set, or another "
                       "--out");
    return;
  }
  if (std::filesystem::exists(flags.out) && !std::filesystem::is_empty(flags.out))
    throw InputError(flags.out, ": is not empty, and holds no sweep; name another --out");
  MakeFolders(flags.out);
  WriteTextAtomically(file, DumpJson(sweep, 2) + "\n");
}

// Reads each run's recipe, so that a slip is told before the first one begins.
std::string CheckRecipes(const SweepFlags& flags,
                         const std::vector<std::vector<std::string>>& runs) {
  std::vector<Recipe> recipes;
  recipes.reserve(runs.size());
  for (const std::vector<std::string>& settings : runs) {
    std::vector<std::string> set = flags.set;
    set.insert(set.end(), settings.begin(), settings.end());
    recipes.push_back(ReadRecipe(flags.recipe, set));
  }
  return ComparedBy(recipes);
}

int Train(const SweepFlags& flags, const std::vector<std::string>& settings, const Path& folder) {
  std::vector<std::string> arguments = {"train",         flags.recipe, "--run",
                                        folder.string(), "--resume",   "--json"};
  for (const auto* list : {&flags.set, &settings}) {
    for (const std::string& set : *list) {
      arguments.emplace_back("--set");
      arguments.push_back(set);
    }
  }
  return RunOwn(arguments);
}

Json ResultJson(const SweepResult& r, const std::vector<std::string>& settings,
                const std::string& by) {
  Json out = {{"run", Cat("run-", r.run + 1)}, {"settings", settings}, {"seconds", r.seconds}};
  if (r.loss) out["eval_loss"] = *r.loss;
  if (r.figure) out["eval_" + by] = *r.figure;
  if (!r.fault.empty()) out["fault"] = r.fault;
  return out;
}

void Print(const SweepFlags& flags, const std::vector<SweepResult>& results,
           const std::vector<std::vector<std::string>>& runs, const std::string& by) {
  const std::vector<std::string> table = SweepTable(results, runs, by);
  WriteTextAtomically(Path(flags.out) / "table.txt", Join(table, "\n") + "\n");
  if (flags.json) {
    Json out = Json::array();
    for (const SweepResult& r : results) out.push_back(ResultJson(r, runs[r.run], by));
    return PrintJson({{"out", flags.out}, {"runs", out}});
  }
  for (const std::string& line : table) PrintLine(line);
}

void Run(const SweepFlags& flags) {
  std::vector<SweepKey> keys;
  for (const std::string& text : flags.over) keys.push_back(ParseSweepKey(text));
  const auto runs = SweepRuns(keys, flags.trials, static_cast<uint64_t>(flags.seed));
  const std::string by = CheckRecipes(flags, runs);
  TakeFolder(flags, runs);
  const FileLock lock(Path(flags.out) / ".lock", flags.out);

  std::vector<SweepResult> results;
  {
    const StopSignals signals;
    for (size_t i = 0; i < runs.size(); ++i) {
      const Path folder = Path(flags.out) / Cat("run-", i + 1);
      Note(Cat("run ", i + 1, " of ", runs.size(), "  ", Join(runs[i], " ")));
      const int status = Train(flags, runs[i], folder);
      if (StopSignals::Caught() != 0) {
        Note(Cat("retort: stopped by signal ", StopSignals::Caught(), " in run ", i + 1, " of ",
                 runs.size(), "; the same command goes on"));
        throw ExitWith{128 + StopSignals::Caught()};
      }
      results.push_back(ReadSweepResult(folder, i, by, status));
    }
  }
  SortResults(results);
  Print(flags, results, runs, by);
  if (!results.front().loss)
    throw Failure(flags.out, ": no run has a result; the errors above say why");
}

}  // namespace

void AddSweep(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "sweep", "Train with several settings and compare the results on held-out rows");
  auto flags = std::make_shared<SweepFlags>();
  command->add_option("recipe", flags->recipe, "recipe file (JSON with comments)")->required();
  command
      ->add_option("--over", flags->over,
                   "KEY=a,b,c: values to try for a key of the recipe, or a JSON list of them; "
                   "several keys are tried in all combinations")
      ->required()
      ->allow_extra_args(false);
  command->add_option("--trials", flags->trials, "of all combinations, only so many; 0: all")
      ->check(CLI::Range(int64_t{0}, kMostCount));
  command->add_option("--seed", flags->seed, "which combinations these are")
      ->check(CLI::Range(int64_t{0}, kMostCount));
  command->add_option("--set", flags->set, "a.b=VALUE: overrides a key of the recipe in all runs")
      ->allow_extra_args(false);
  command->add_option(
      "--out", flags->out,
      "folder of the sweep (default: sweeps/RECIPE); a command that is given again goes "
      "on there");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] {
    if (flags->out.empty()) flags->out = Path("sweeps") / Path(flags->recipe).stem();
    Run(*flags);
  });
}

}  // namespace retort
