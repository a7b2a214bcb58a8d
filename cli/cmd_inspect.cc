// SPDX-License-Identifier: Apache-2.0
// retort inspect: shows the contents of a model file, an adapter, a trainer's state, a run's
// folder, a teacher's cache, rows or a recipe.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/checked.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/inspect_data.h"
#include "cli/inspect_report.h"
#include "data/model_tokenizer.h"
#include "data/teacher_cache.h"
#include "formats/hdf5_child.h"
#include "formats/safetensors.h"
#include "model/store/base_record.h"

namespace retort {
namespace {

void AddTensors(const TensorTable& tensors, InspectReport& report) {
  uint64_t bytes = 0, elements = 0;
  for (const TensorEntry& e : tensors.entries()) {
    const std::string place = Cat(tensors.where(), ": tensor ", Quoted(e.name), ": the sum");
    bytes = CheckedAdd(bytes, e.bytes.size(), place);
    elements = CheckedAdd(elements, ElementsOf(e.shape, place), place);
    report.AddTensor(e.name, e.type_name(), e.shape, static_cast<int64_t>(e.bytes.size()));
  }
  report.AddFact("tensors", tensors.entries().size());
  report.AddFact("elements", elements);
  report.AddFact("tensor bytes", bytes);
  report.HasTensors();
}

InspectReport InspectGguf(const Path& path) {
  const GgufFile file = ReadGguf(path);
  InspectReport report("GGUF file", path);
  report.AddFact("version", file.version);
  report.AddFact("alignment", file.alignment);
  for (const auto& [key, value] : file.metadata.entries()) report.AddFact(key, ValueText(value));
  AddTensors(file.tensors, report);
  return report;
}

InspectReport InspectSafetensors(const Path& path) {
  const SafetensorsFile file = ReadSafetensors(path);
  InspectReport report("safetensors file", path);
  for (const auto& [key, value] : file.metadata) report.AddFact(key, value);
  AddTensors(file.tensors, report);
  return report;
}

// The file may be anybody's, so the library reads it in a process of its own.
InspectReport InspectHdf5(const Path& path) {
  InspectReport report("HDF5 file", path);
  int64_t count = 0;
  ReadHdf5InChild(path, Hdf5Wanted::kNames, 0, [&](Hdf5Item&& d) {
    report.AddTensor(d.name, d.type ? NameOf(*d.type) : "other", d.shape, d.stored_bytes);
    ++count;
  });
  report.AddFact("datasets", count);
  report.HasTensors();
  return report;
}

InspectReport InspectModelFolder(const Path& path) {
  InspectReport report("Hugging Face folder", path);
  const ModelFiles files = OpenModel(path);
  report.AddFacts(ReadJson(path / "config.json"));
  const auto tokenizer = LoadTokenizer(files);
  report.AddFact("tokenizer ids", tokenizer->vocab_size());
  report.AddFact("adds BOS", tokenizer->spec().add_bos);
  report.AddFact("chat template", !tokenizer->spec().chat_template.empty());
  AddTensors(files.tensors, report);
  return report;
}

// An adapter, or a checkpoint: an adapter with the trainer's state.
InspectReport InspectAdapter(const Path& path) {
  InspectReport report(std::filesystem::exists(path / "trainer.h5") ? "checkpoint" : "adapter",
                       path);
  report.AddFacts(ReadJson(path / "adapter_config.json"));
  if (std::filesystem::exists(path / kManifestName))
    report.AddFacts(ReadJson(path / kManifestName), "retort.");
  AddTensors(ReadSafetensors(path / "adapter_model.safetensors").tensors, report);
  return report;
}

InspectReport InspectRun(const Path& path) {
  InspectReport report("run", path);
  const Path metrics = path / "metrics.jsonl", checkpoints = path / "checkpoints",
             summary = path / "summary.json";
  report.AddFact("finished", std::filesystem::exists(summary));
  if (std::filesystem::exists(summary)) report.AddFacts(ReadJson(summary));
  std::vector<std::string> lines = std::filesystem::exists(metrics) ? Split(ReadText(metrics), '\n')
                                                                    : std::vector<std::string>();
  while (!lines.empty() && Strip(lines.back()).empty()) lines.pop_back();
  if (!lines.empty())
    report.AddFacts(ParseJson(lines.back(), Cat(metrics.string(), ":", lines.size())), "last.");
  Json steps = Json::array();
  if (std::filesystem::is_directory(checkpoints)) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(checkpoints))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    steps = names;
  }
  report.AddFact("checkpoints", steps);
  report.AddFacts(ReadJson(path / "recipe.json"), "recipe.");
  return report;
}

InspectReport InspectTeacherCache(const Path& path) {
  const TeacherCacheSummary cache = SummarizeTeacherCache(path);
  InspectReport report("teacher's cache", path);
  report.AddFacts({{"finished", cache.finished()},
                   {"teacher", cache.key.teacher},
                   {"fingerprint", cache.key.fingerprint},
                   {"adapter fingerprint", cache.key.adapter_fingerprint},
                   {"tokenizer hash", cache.key.tokenizer_hash},
                   {"template hash", cache.key.template_hash},
                   {"vocabulary", cache.key.vocab},
                   {"top_k", cache.key.top_k},
                   {"temperature", cache.key.temperature},
                   {"shards", cache.shards},
                   {"examples", cache.examples},
                   {"examples done", cache.examples_done},
                   {"tokens done", cache.tokens_done},
                   {"bytes before compression", cache.raw_bytes},
                   {"bytes stored", cache.stored_bytes}});
  return report;
}

InspectReport InspectFolder(const Path& path) {
  const auto has = [&](const char* name) { return std::filesystem::exists(path / name); };
  if (has("adapter_config.json")) return InspectAdapter(path);
  if (has("config.json")) return InspectModelFolder(path);
  if (has("recipe.json")) return InspectRun(path);
  if (has(kTeacherCacheManifest)) return InspectTeacherCache(path);
  throw InputError(path.string(),
                   ": holds no config.json (a model), adapter_config.json (an adapter), "
                   "recipe.json (a run) or ",
                   kTeacherCacheManifest, " (a teacher's cache)");
}

InspectReport Inspect(const Path& path) {
  if (std::filesystem::is_directory(path)) return InspectFolder(path);
  const auto file = MappedFile::Open(path);
  const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()),
                              file->bytes().size());
  if (text.starts_with("GGUF")) return InspectGguf(path);
  if (text.starts_with("\x89HDF")) return InspectHdf5(path);
  if (path.extension() == ".safetensors") return InspectSafetensors(path);
  if (IsRecipe(path)) return InspectRecipe(path);
  if (IsRowsName(path)) return InspectRows(path);
  throw InputError(path.string(),
                   ": is no GGUF, HDF5 or safetensors file, and its name no recipe's or rows' "
                   "(.json, .jsonl, .csv, .tsv)");
}

}  // namespace

void AddInspect(CLI::App& app) {
  CLI::App* command = app.add_subcommand("inspect", "Show what a file or folder holds");
  struct InspectFlags {
    std::string path;
    bool json = false;
  };
  auto flags = std::make_shared<InspectFlags>();
  command
      ->add_option("path", flags->path,
                   "GGUF, safetensors or HDF5 file; rows; a recipe; folder of a model, adapter, "
                   "checkpoint, run or teacher's cache")
      ->required();
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] {
    const InspectReport report = Inspect(flags->path);
    if (flags->json) return PrintLine(report.JsonLine());
    for (const std::string& line : report.Lines()) PrintLine(line);
  });
}

}  // namespace retort
