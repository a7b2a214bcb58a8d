// SPDX-License-Identifier: Apache-2.0
// retort plan RECIPE: what a training run will need, without training.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cmath>
#include <exception>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/plan_check.h"
#include "cli/plan_table.h"
#include "cli/progress.h"
#include "cli/rows_progress.h"
#include "recipes/recipe_reader.h"

namespace retort {
namespace {

struct PlanFlags {
  std::string recipe;
  std::vector<std::string> set, table;
  int rows = 3;
  bool no_time = false, json = false;
};

constexpr double kCountedSeconds = 60;

std::string LengthsText(const LengthFacts& l, int64_t max_tokens) {
  return Cat("lengths  ", l.shortest, " to ", l.longest, " tokens a row, median ", l.median,
             "; 95 % of the rows have at most ", l.p95, ", 99 % ", l.p99, "; data.max_tokens is ",
             max_tokens);
}

// One line for each bin: "    64 to 127   1,204  ########"
void PrintBins(const LengthFacts& lengths) {
  constexpr int64_t kWidth = 40;
  const int64_t most = std::ranges::max_element(lengths.bins, {}, &LengthFacts::Bin::rows)->rows;
  for (const LengthFacts::Bin& bin : lengths.bins) {
    char text[64];
    std::snprintf(text, sizeof text, "  %7lld to %-7lld %9lld  ", static_cast<long long>(bin.begin),
                  static_cast<long long>(bin.end - 1), static_cast<long long>(bin.rows));
    const int64_t marks = std::max<int64_t>(1, bin.rows * kWidth / most);
    PrintLine(Cat(text, std::string(static_cast<size_t>(marks), '#')));
  }
}

Json LengthsJson(const LengthFacts& l) {
  Json bins = Json::array();
  for (const LengthFacts::Bin& b : l.bins)
    bins.push_back(Json{{"begin", b.begin}, {"end", b.end}, {"rows", b.rows}});
  return {{"rows", l.rows}, {"shortest", l.shortest}, {"median", l.median}, {"p95", l.p95},
          {"p99", l.p99},   {"longest", l.longest},   {"bins", bins}};
}

Json MemoryJson(const MemoryPlan& plan) {
  const TrainingSession::Memory& m = plan.counted;
  return {{"peak_bytes", m.peak},
          {"weights", m.weights},
          {"trained", m.trained},
          {"optimizer", m.optimizer},
          {"activations", plan.activations()},
          {"mapped", m.mapped},
          {"process_bytes", plan.process},
          {"counted_steps", plan.steps}};
}

void PrintExamples(const OpenedRecipe& opened, int rows) {
  for (const Example& example : opened.data->train.examples.First(rows))
    PrintLine(
        Cat("row ", example.index + 1, "    ", ShowExample(example, *opened.data->tokenizer)));
}

// The lengths are told before what is wrong with the rows, which may be their length.
LengthFacts OpenAndPrintLengths(const PlanFlags& flags, const Recipe& recipe,
                                OpenedRecipe& opened) {
  std::optional<LengthFacts> lengths;
  std::exception_ptr fault;
  try {
    opened = OpenRecipe(recipe, RowsProgress().Work(false));
    lengths = RowLengths(opened);
  } catch (const Error&) {
    fault = std::current_exception();
  }
  if (!lengths)
    lengths = RowLengths(recipe, OpenModel(recipe.model.path), RowsProgress().Work(false));
  if (!flags.json) {
    PrintLine(LengthsText(*lengths, recipe.data.max_tokens));
    PrintBins(*lengths);
  }
  if (fault) std::rethrow_exception(fault);
  return *lengths;
}

void Run(const PlanFlags& flags) {
  if (!flags.table.empty()) {
    if (!flags.recipe.empty())
      throw InputError("--table needs no recipe: --set a.b=VALUE sets what it is made for");
    return ShowMemoryTable(flags.table, flags.set, flags.json);
  }
  if (flags.recipe.empty()) throw InputError("plan: name a recipe, or models with --table");
  const Recipe recipe = ReadRecipe(flags.recipe, flags.set);
  OpenedRecipe opened;
  const LengthFacts lengths = OpenAndPrintLengths(flags, recipe, opened);
  std::vector<std::string> notes;
  const MemoryPlan memory = PlanWithin(opened, kCountedSeconds, notes);
  if (!flags.json) {
    for (const std::string& line : memory.description) PrintLine(line);
    for (const std::string& note : notes) PrintLine(Cat("note     ", note));
    PrintLine(Cat("tokens   ", memory.complete() ? "" : "about ", CountText(memory.total_tokens()),
                  " in ", memory.total_steps, " steps"));
    for (const std::string& line : MemoryLines(memory)) PrintLine(line);
  }
  RefuseWhatDoesNotFit(memory, opened);
  TimePlan time;
  if (!flags.no_time) time = PlanTime(opened, memory);
  if (flags.json) {
    return PrintJson({{"lengths", LengthsJson(lengths)},
                      {"memory", MemoryJson(memory)},
                      {"steps", memory.total_steps},
                      {"tokens", std::llround(memory.total_tokens())},
                      {"tokens_per_second", time.tokens_per_second},
                      {"seconds", time.seconds}});
  }
  if (time.steps > 0)
    PrintLine(Cat("time     about ", DurationText(time.seconds), " for ", memory.total_steps,
                  " steps, at ", CountText(time.tokens_per_second), " tokens/s (", time.steps,
                  " steps timed)"));
  PrintExamples(opened, flags.rows);
}

}  // namespace

void AddPlan(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "plan", "Show the memory, time, steps and row lengths of a training run without training");
  auto flags = std::make_shared<PlanFlags>();
  command->add_option("recipe", flags->recipe, "recipe file (JSON with comments)");
  command->add_option("--table", flags->table,
                      "instead of a recipe, sizes of models: the memory that training each of them "
                      "takes, in each format; a shape of `init` or the beginning of its name "
                      "(qwen3), a folder that holds a config.json, or a GGUF file");
  command->add_option("--set", flags->set, "a.b=VALUE: overrides a key of the recipe")
      ->allow_extra_args(false);
  command->add_option("--rows", flags->rows, "training rows to show with their masks (default: 3)")
      ->check(CLI::Range(int64_t{0}, kMostCount));
  command->add_flag("--no-time", flags->no_time, "take no steps to time them");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
