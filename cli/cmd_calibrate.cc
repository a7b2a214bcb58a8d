// SPDX-License-Identifier: Apache-2.0
// retort calibrate MODEL --data FILE.jsonl --out FILE.gguf: the importance matrix of a model's
// inputs, for export --imatrix.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/calibration_flags.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "export/importance.h"
#include "model/store/target.h"

namespace retort {
namespace {

struct CalibrateFlags {
  std::string model, out;
  AdapterFlags adapter;
  CalibrationFlags rows;
  ComputeFlags compute;
  bool json = false;
};

std::vector<InputSquares> Measure(const CalibrateFlags& flags, const OpenedModel& opened,
                                  const Examples& examples) {
  ProgressBar bar("calibrate");
  return SumInputSquares(
      *opened.model, opened.adapter.get(), examples,
      {.batch_tokens = flags.rows.batch_tokens,
       .on_progress = [&](int64_t done) { bar.Update(done, examples.size(), "rows"); }});
}

void Run(const CalibrateFlags& flags) {
  std::vector<Path> sources = {flags.model};
  sources.insert(sources.end(), flags.rows.data.begin(), flags.rows.data.end());
  CheckTarget(flags.out, TargetKind::kFile, sources);
  const OpenedModel opened = OpenForRunning(flags.model, flags.adapter.adapters(), flags.compute,
                                            OpenedFor::kScores, /*with_tokenizer=*/true);
  const Examples examples = flags.rows.Read(opened);
  Note(Cat("compute  ", NameOf(opened.compute), " on ", opened.backend->name(), ", ",
           opened.backend->threads(), " threads"));
  const std::vector<InputSquares> inputs = Measure(flags, opened, examples);
  int64_t tokens = 0, longest = 0;
  for (int64_t i = 0; i < examples.size(); ++i) {
    tokens += examples.tokens(i);
    longest = std::max(longest, examples.tokens(i));
  }
  const int64_t matrices = WriteImportance(
      opened.files.layout, inputs, {flags.rows.data.front(), examples.size(), longest}, flags.out);
  if (flags.json)
    return PrintJson({{"out", flags.out},
                      {"matrices", matrices},
                      {"rows", examples.size()},
                      {"tokens", tokens}});
  PrintLine(Cat(flags.out, ": the inputs of ", matrices, " matrices on ", tokens, " tokens of ",
                examples.size(), " rows; for retort export --imatrix"));
}

}  // namespace

void AddCalibrate(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "calibrate", "Measure a model's inputs on rows, so that export quantises it better for them");
  auto flags = std::make_shared<CalibrateFlags>();
  command->add_option("model", flags->model, "Hugging Face folder or GGUF file")->required();
  command
      ->add_option("--out", flags->out,
                   "importance matrix to write, a GGUF as llama.cpp's llama-imatrix writes it; "
                   "NAME.dat: in its older form")
      ->required();
  flags->adapter.Add(*command);
  flags->rows.rows = 0;
  flags->rows.Add(*command, "")->required();
  flags->compute.Add(*command, false);
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
