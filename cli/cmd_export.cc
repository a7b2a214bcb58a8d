// SPDX-License-Identifier: Apache-2.0
// retort export: converts a Hugging Face folder to a GGUF file, or a GGUF file to a folder. What is
// written is verified against its source before it gets its final name.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/calibration_flags.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/progress.h"
#include "export/folder_export.h"
#include "export/gguf_adapter.h"
#include "export/measured_mix.h"
#include "export/verify.h"
#include "model/store/run_folder.h"
#include "model/store/target.h"

namespace retort {
namespace {

struct ExportFlags {
  std::string source, base, out, to = "gguf", type, imatrix;
  CalibrationFlags tune;
  std::optional<uint64_t> size;  // bytes
  std::optional<double> kl;
  int threads = 0;
  bool pure = false, json = false;

  // The flag by which the mix of formats is chosen; "": none is given.
  std::string sized_by() const { return size ? "--size" : kl ? "--kl" : ""; }
  // Where the mix is saved tensor by tensor.
  std::string mix_file() const { return out + ".mix.json"; }
  // A flag that is given and only for GGUF files of models; "": none is.
  std::string gguf_only() const {
    return pure                 ? "--pure"
           : !imatrix.empty()   ? "--imatrix"
           : !tune.data.empty() ? "--tune"
                                : sized_by();
  }
};

std::string VerdictText(const VerifyReport& verdict) {
  char text[160];
  std::snprintf(
      text, sizeof text,
      "tokens, template and ends agree; mean KL %.2e (limit %.0e), same next token %.1f %%",
      verdict.mean_kl, verdict.limit, 100 * verdict.top1);
  return text;
}

void Print(const ExportFlags& flags, const FolderExport& done) {
  const std::string type(TraitsOf(done.type).name);
  if (flags.json) {
    return PrintJson({{"out", flags.out},
                      {"type", type},
                      {"bytes", done.bytes},
                      {"tokenizer_notes", done.notes},
                      {"verify", VerifyJson(done.verdict)}});
  }
  for (const std::string& note : done.notes) Note(Cat("note: tokenizer: ", note));
  PrintLine(Cat(flags.out, ": ", BytesText(done.bytes), " of ", type,
                "; verified: ", VerdictText(done.verdict)));
}

// One line for each format.
void NoteOtherFormats(const std::string& type, const GgufExportResult& written) {
  std::map<WeightFormat, std::vector<std::string>> by_format;
  for (const auto& [name, format] : written.other_formats) by_format[format].push_back(name);
  for (const auto& [format, names] : by_format) {
    const std::string of = names.size() == 1 ? Cat(names.front(), " is stored as ")
                                             : Cat(names.size(), " matrices, such as ",
                                                   names.front(), ", are stored as ");
    Note(
        Cat("note: ", of, TraitsOf(format).name, ": rows do not divide into the blocks of ", type));
  }
}

void Print(const ExportFlags& flags, const GgufExportResult& written, const VerifyReport& verdict) {
  Json others = Json::object();
  for (const auto& [name, format] : written.other_formats) others[name] = TraitsOf(format).name;
  if (flags.json) {
    return PrintJson({{"out", flags.out},
                      {"type", flags.type},
                      {"bytes", written.bytes},
                      {"other_formats", others},
                      {"unweighted", written.unweighted},
                      {"tokenizer_notes", written.notes},
                      {"verify", VerifyJson(verdict)}});
  }
  NoteOtherFormats(flags.type, written);
  if (!written.unweighted.empty()) {
    Note(Cat("note: ", flags.imatrix, " does not have ", written.unweighted.size(),
             " matrices, which are quantised without it, such as ", written.unweighted.front()));
  }
  for (const std::string& note : written.notes) Note(Cat("note: tokenizer: ", note));
  PrintLine(Cat(flags.out, ": ", BytesText(written.bytes), " of ", flags.type,
                "; verified: ", VerdictText(verdict)));
}

void RunAdapter(const ExportFlags& flags) {
  const std::string odd = flags.to == "hf" ? "--to" : flags.gguf_only();
  if (!odd.empty())
    throw InputError(flags.source, ": is an adapter's folder, which becomes a GGUF adapter; leave ",
                     odd, " out");
  const std::string type = flags.type.empty() ? "f32" : flags.type;
  const GgufAdapterExport done = ExportGgufAdapter(
      {flags.source, flags.base, flags.out, AdapterTypeNamed(type), flags.threads});
  if (flags.json) {
    return PrintJson({{"out", flags.out},
                      {"type", type},
                      {"bytes", done.bytes},
                      {"layers", done.layers},
                      {"kept_f16", done.kept_f16},
                      {"notes", done.notes}});
  }
  for (const std::string& note : done.notes) Note(Cat("note: ", note));
  if (!done.kept_f16.empty())
    Note(Cat("note: ", done.kept_f16.size(),
             " factors are stored as f16: their rows do not divide into ", type, " blocks"));
  PrintLine(Cat(flags.out, ": ", BytesText(done.bytes), " of ", type, ", the adapters of ",
                done.layers, " tensors; read back"));
}

MeasuredMix Choose(const ExportFlags& flags, const OpenedModel& opened, const Examples& rows,
                   GgufExportOptions* options) {
  ProgressBar bar("measure");
  FormatLosses losses(
      opened.files, rows, MixFormats(),
      {.on_progress = [&](int64_t done, int64_t total) { bar.Update(done, total, "tensors"); }},
      *opened.model);
  MixGoal goal;
  if (flags.size) goal.bytes = static_cast<int64_t>(*flags.size);
  goal.kl = flags.kl;
  MeasuredMix mix = ChooseMix(opened.files, flags.out, goal, losses, options);
  for (const std::string& line : MixLines(mix)) Note(Cat("mix      ", line));
  char kl[32];
  std::snprintf(kl, sizeof kl, "%.2e", mix.kl);
  Note(Cat("mix      KL ", kl, " before the rounding with error feedback; tensor by tensor in ",
           flags.mix_file()));
  return mix;
}

VerifiedExport ExportTuned(const ExportFlags& flags, GgufExportOptions options) {
  ComputeFlags compute;
  compute.compute = "f32";  // KL of single tensors is smaller than the errors of bf16
  compute.threads = flags.threads;
  const OpenedModel opened =
      OpenForRunning(flags.source, {}, compute, OpenedFor::kScores, /*with_tokenizer=*/true);
  const Examples rows = flags.tune.Read(opened);
  std::optional<MeasuredMix> mix;
  if (!flags.sized_by().empty()) mix = Choose(flags, opened, rows, &options);
  Tuning tuning{opened.model.get(), rows, {flags.tune.batch_tokens}};
  ProgressBar bar("tune");
  const int64_t layers = opened.files.config.layers();
  tuning.options.on_layer = [&](int64_t layer) { bar.Update(layer + 1, layers, "layers"); };
  options.tuning = &tuning;
  VerifiedExport done = ExportLocked(opened.files, flags.out, options);
  if (mix) WriteTextAtomically(flags.mix_file(), DumpJson(MixJson(*mix)) + "\n");
  return done;
}

// The file, and its mix or none: that of an earlier file of this name is removed.
VerifiedExport ExportModel(const ExportFlags& flags, const GgufExportOptions& options) {
  const ModelFiles source = OpenModel(flags.source);
  RefuseGguf(source);
  std::vector<Path> sources(flags.tune.data.begin(), flags.tune.data.end());
  sources.push_back(source.path);
  CheckTarget(flags.out, TargetKind::kFile, sources);
  const bool has_mix = !flags.sized_by().empty();
  if (has_mix) CheckTarget(flags.mix_file(), TargetKind::kFile, sources);
  const TargetLock lock(flags.out);
  VerifiedExport done = flags.tune.data.empty() ? ExportLocked(source, flags.out, options)
                                                : ExportTuned(flags, options);
  if (std::error_code ignored; !has_mix) std::filesystem::remove(flags.mix_file(), ignored);
  return done;
}

void RefuseUnused(const ExportFlags& flags) {
  flags.tune.RefuseUnused("--tune");
  if (flags.size && *flags.size == 0) throw InputError("--size 0: no file is that small");
  if (flags.kl && !(*flags.kl > 0 && std::isfinite(*flags.kl)))
    throw InputError("--kl ", *flags.kl, ": is the largest mean KL of the file, a number above 0");
  if (!flags.tune.data.empty() && !flags.imatrix.empty())
    throw InputError("--imatrix: --tune measures the inputs by itself; leave one of them out");
}

void Run(ExportFlags flags) {
  RefuseUnused(flags);
  if (const auto adapter = AdapterFolderAt(flags.source)) {
    flags.source = adapter->string();
    return RunAdapter(flags);
  }
  if (!flags.base.empty())
    throw InputError("--base is for an adapter's folder, and ", flags.source, " is none");
  if (flags.to == "hf") {
    if (const std::string odd = flags.gguf_only(); !odd.empty())
      throw InputError(odd, " is for GGUF files, not for --to hf");
    if (flags.type.empty()) flags.type = "auto";
    return Print(flags,
                 ExportFolder(OpenModel(flags.source), flags.out, {flags.type, flags.threads}));
  }
  if (const std::string by = flags.sized_by(); !by.empty()) {
    if (flags.tune.data.empty())
      throw InputError(by, " needs rows to measure on: --tune ROWS.jsonl");
    if (!flags.type.empty() || flags.pure)
      throw InputError(by, " chooses the formats; leave --type and --pure out");
    flags.type = "q4_0";  // until they are chosen
  }
  if (flags.type.empty()) flags.type = "q8_0";
  GgufExportOptions options = OptionsOfType(flags.type, flags.pure, flags.threads);
  if (!flags.imatrix.empty()) options.importance = Importance::Read(flags.imatrix);
  if (!flags.tune.data.empty() && !options.mix && !TraitsOf(options.type).grid)
    throw InputError("--tune: ", flags.type, " has no grid of codes to round to; leave --tune out");
  const VerifiedExport done = ExportModel(flags, options);
  if (!flags.sized_by().empty()) flags.type = "mix";
  Print(flags, done.written, done.verdict);
}

}  // namespace

void AddExport(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("export",
                         "Write a folder as a GGUF file, or a GGUF file as a folder, and test "
                         "it against its source");
  auto flags = std::make_shared<ExportFlags>();
  command
      ->add_option(
          "source", flags->source,
          "Hugging Face folder, of a model or an adapter, or folder of a run; with --to hf, a "
          "GGUF file or a folder")
      ->required();
  command->add_option("--base", flags->base,
                      "of an adapter: its base (default: the one that it was trained on)");
  command->add_option("--out", flags->out, "GGUF file or folder to write")->required();
  command->add_option("--to", flags->to, "gguf, or hf: a Hugging Face folder")
      ->check(CLI::IsMember({"gguf", "hf"}))
      ->capture_default_str();
  command->add_option(
      "--type", flags->type,
      Cat("gguf: ", Join(GgufTypeNames(), ", "),
          " (default q8_0); hf: f32, f16, bf16 (default: the file's if it is one of "
          "these, else f32, which keeps all values), nf4, fp4 (as bitsandbytes); an adapter: f32 (default), f16, bf16, q8_0"));
  command->add_flag(
      "--pure", flags->pure,
      "one format for all matrices (else the K and IQ types are llama.cpp's mixes, and embedding "
      "and head are q8_0 where another type has fewer than 8 bits)");
  command->add_option("--imatrix", flags->imatrix,
                      "importance matrix of this model, as retort calibrate and llama.cpp's "
                      "llama-imatrix write it: by it the blocks choose their scales");
  flags->tune.Add(*command, "", "--tune");
  CLI::Option* size =
      command
          ->add_option("--size", flags->size,
                       "largest size of the file, such as 80MiB: each tensor's format is chosen by "
                       "its measured KL on the rows of --tune")
          ->transform(CLI::AsSizeValue(true));
  command
      ->add_option("--kl", flags->kl,
                   "largest mean KL to the source on the rows of --tune, such as 0.01, measured "
                   "before the tuning, which lowers it: the smallest file that was found")
      ->excludes(size);
  AddThreads(*command, flags->threads);
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
