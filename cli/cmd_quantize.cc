// SPDX-License-Identifier: Apache-2.0
// retort quantize MODEL --method gptq --data FILE.jsonl --out DIR: for transformers.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/calibration_flags.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/progress.h"
#include "export/quantised_folder.h"
#include "model/store/target.h"

namespace retort {
namespace {

struct QuantizeFlags {
  std::string model, out, method;
  CalibrationFlags rows;
  std::optional<int> bits;
  std::optional<int64_t> group;
  int threads = 0;
  bool json = false;

  // Whether the method rounds by the inputs that rows give.
  bool measures() const { return method == "gptq" || method == "awq"; }
  GroupKind kind() const {
    const GroupKind usual;
    return {bits.value_or(usual.bits), group.value_or(usual.group), method == "gptq"};
  }
};

void RefuseUnused(const QuantizeFlags& flags) {
  if (flags.measures() == flags.rows.data.empty())
    throw InputError("--method ", flags.method,
                     flags.measures() ? ": needs rows to measure on: --data ROWS.jsonl"
                                      : ": measures nothing; leave --data out");
  flags.rows.RefuseUnused("--data");
  if (flags.bits && !flags.measures())
    throw InputError("--bits: is for --method gptq; leave it out with ", flags.method);
  if (flags.method == "awq" && flags.kind().bits != 4)
    throw InputError("--method awq: has codes of 4 bits; leave --bits out");
  if (flags.group && !flags.measures())
    throw InputError("--group: is for --method gptq and awq; leave it out with ", flags.method);
}

FolderExport Measured(const QuantizeFlags& flags, QuantiseOptions options) {
  std::vector<Path> sources = {flags.model};
  sources.insert(sources.end(), flags.rows.data.begin(), flags.rows.data.end());
  CheckTarget(flags.out, TargetKind::kFolder, sources);
  ComputeFlags compute;
  compute.compute = "f32";  // "auto" depends on the machine, and the folder's bytes must not
  compute.threads = flags.threads;
  const OpenedModel opened =
      OpenForRunning(flags.model, {}, compute, OpenedFor::kScores, /*with_tokenizer=*/true);
  Tuning tuning{opened.model.get(), flags.rows.Read(opened), {flags.rows.batch_tokens}};
  ProgressBar bar("quantize");
  const int64_t layers = opened.files.config.layers();
  tuning.options.on_layer = [&](int64_t layer) { bar.Update(layer + 1, layers, "layers"); };
  options.tuning = &tuning;
  return QuantiseFolder(opened.files, flags.out, options);
}

FolderExport Quantised(const QuantizeFlags& flags) {
  RefuseUnused(flags);
  const ModelFiles source = OpenModel(flags.model);  // an adapter's folder is refused
  RefuseUnquantisable(source);
  if (flags.method == "nf4") return ExportFolder(source, flags.out, {"nf4", flags.threads});
  QuantiseOptions options{FolderMethod::kInt8, flags.kind(), flags.threads};
  if (flags.method == "int8") return QuantiseFolder(source, flags.out, options);
  options.method = flags.method == "gptq" ? FolderMethod::kGptq : FolderMethod::kAwq;
  return Measured(flags, options);
}

void Run(const QuantizeFlags& flags) {
  const FolderExport done = Quantised(flags);
  if (flags.json) {
    return PrintJson({{"out", flags.out},
                      {"method", flags.method},
                      {"bytes", done.bytes},
                      {"tokenizer_notes", done.notes},
                      {"verify", VerifyJson(done.verdict)}});
  }
  for (const std::string& note : done.notes) Note(Cat("note: tokenizer: ", note));
  char kl[32];
  std::snprintf(kl, sizeof kl, "%.2e", done.verdict.mean_kl);
  PrintLine(Cat(flags.out, ": ", BytesText(done.bytes), " of ", flags.method,
                "; verified: mean KL ", kl));
}

}  // namespace

void AddQuantize(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "quantize", "Write a folder of GPTQ, AWQ or bitsandbytes that transformers loads");
  auto flags = std::make_shared<QuantizeFlags>();
  command
      ->add_option("model", flags->model,
                   "Hugging Face folder, or folder of a run of a whole model")
      ->required();
  command
      ->add_option("--method", flags->method,
                   "gptq: symmetric groups; awq: groups with zeros, in AWQ's GEMM layout; both "
                   "rounded with error feedback on the rows; nf4, int8: bitsandbytes'")
      ->required()
      ->check(CLI::IsMember({"gptq", "awq", "nf4", "int8"}));
  command->add_option("--out", flags->out, "folder to write")->required();
  command->add_option("--bits", flags->bits, "of gptq: 4 (default) or 8")
      ->check(CLI::IsMember({4, 8}));
  command
      ->add_option("--group", flags->group,
                   "of gptq and awq: inputs that share a scale, 32, 64 or 128 (default)")
      ->check(CLI::IsMember({32, 64, 128}));
  flags->rows.Add(*command, "");
  AddThreads(*command, flags->threads);
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
