// SPDX-License-Identifier: Apache-2.0
// retort prune MODEL --data FILE.jsonl --out DIR: makes a smaller model from parts of a larger one.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/calibration_flags.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/progress.h"
#include "compress/prune.h"

namespace retort {
namespace {

constexpr int64_t kBlock = 32;  // values in a block of Q8_0 and Q4_0

struct PruneFlags {
  std::string model, out, by = "loss";
  CalibrationFlags rows;
  int64_t layers = 0, ffn = 0;
  uint64_t seed = 1;
  bool json = false;
  ComputeFlags compute;
};

std::string FixedText(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", value);
  return text;
}

std::string_view MeasureText(LayerRule rule) {
  if (rule == LayerRule::kLoss) return "loss without it";
  return rule == LayerRule::kCosine ? "influence (1 - cosine)" : "(by chance)";
}

// Prints a line for each layer: its importance, and the order of the removed layers.
void NoteLayers(const PruneReport& report) {
  const LayerRanking& r = report.ranking;
  if (r.dropped.empty()) return;
  Note(Cat("layer    ", MeasureText(report.by)));
  for (int64_t layer = 0; layer < report.before.layers(); ++layer) {
    const auto place = std::find(r.dropped.begin(), r.dropped.end(), layer) - r.dropped.begin();
    const auto at = static_cast<size_t>(place);
    std::string measured, fate = "kept";
    if (!r.importance.empty()) measured = FixedText(r.importance[static_cast<size_t>(layer)]);
    if (at < r.dropped.size()) {
      fate = Cat("out, ", at + 1, " of ", r.dropped.size());
      if (at < r.losses.size()) fate += Cat(", loss ", FixedText(r.losses[at]));
    }
    char line[120];
    std::snprintf(line, sizeof line, "%5lld    %-10s %s", static_cast<long long>(layer),
                  measured.c_str(), fate.c_str());
    Note(line);
  }
}

void NoteNeurons(const PruneReport& report) {
  if (report.neuron_share.empty()) return;
  const auto [least, most] =
      std::minmax_element(report.neuron_share.begin(), report.neuron_share.end());
  char line[120];
  std::snprintf(line, sizeof line,
                "neurons  those kept hold %.1f to %.1f %% of an MLP's importance", 100 * *least,
                100 * *most);
  Note(line);
  if (report.after.mlp_width() % kBlock != 0) {
    Note(Cat("note     ", report.after.mlp_width(), " neurons are no multiple of ", kBlock,
             ": a quantised GGUF will keep the down projections in f16"));
  }
}

void Run(const PruneFlags& flags) {
  PruneOptions options;
  options.out = flags.out;
  options.layers = flags.layers;
  options.ffn = flags.ffn;
  options.by = ParseLayerRule(flags.by);
  options.importance.batch_tokens = flags.rows.batch_tokens;
  options.importance.seed = flags.seed;
  CheckPruneOptions(OpenModel(flags.model), options);
  const OpenedModel opened =
      OpenForRunning(flags.model, {}, flags.compute, OpenedFor::kScores, /*with_tokenizer=*/true);
  const Examples examples = flags.rows.Read(opened);
  Note(Cat("compute  ", NameOf(opened.compute), " on ", opened.backend->name(), ", ",
           opened.backend->threads(), " threads"));
  PruneReport report;
  {
    ProgressBar bar("prune");
    const auto begin = std::chrono::steady_clock::now();
    options.importance.on_progress = [&](int64_t done, int64_t total) {
      const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
      const double passes_left = static_cast<double>(total - done) / static_cast<double>(done);
      bar.Update(
          done, total,
          Cat("passes over the rows  ", DurationText(passed.count() * passes_left), " left"));
    };
    report = Prune(opened.files, *opened.model, examples, options);
  }
  NoteLayers(report);
  NoteNeurons(report);
  if (flags.json) {
    Json result = PruneJson(report);
    result["out"] = flags.out;
    return PrintJson(result);
  }
  PrintLine(Cat(flags.out, ": ", report.after.layers(), " of ", report.before.layers(), " layers, ",
                report.after.mlp_width(), " of ", report.before.mlp_width(), " neurons, ",
                CountText(static_cast<double>(report.parameters_after)), " of ",
                CountText(static_cast<double>(report.parameters_before)), " parameters"));
  PrintLine(Cat("loss on ", report.rows, " rows (", report.loss_tokens,
                " tokens): ", FixedText(report.loss_before), " before, ",
                FixedText(report.loss_after), " after; distil it to recover the loss"));
}

}  // namespace

void AddPrune(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "prune", "Make a smaller model of a larger one's most important layers and neurons");
  auto flags = std::make_shared<PruneFlags>();
  command->add_option("model", flags->model, "Hugging Face folder")->required();
  command->add_option("--out", flags->out, "folder to make")->required();
  command->add_option("--layers", flags->layers, "how many layers stay (default: all)")
      ->check(CLI::Range(int64_t{1}, kMostCount));
  command
      ->add_option("--ffn", flags->ffn,
                   "how many neurons of each MLP stay, the most important ones (default: all)")
      ->check(CLI::Range(int64_t{1}, kMostCount));
  command->add_option(
      "--by", flags->by,
      "which layers are removed: loss (one by one, the one whose removal costs least), cosine (those "
      "that change their input least; one pass) or random");
  flags->rows
      .Add(*command,
           "--by loss makes one pass over them for each remaining layer, for every layer "
           "that is removed")
      ->required();
  command->add_option("--seed", flags->seed, "for --by random");
  flags->compute.Add(*command, false);
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
