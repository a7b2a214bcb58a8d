// SPDX-License-Identifier: Apache-2.0
// retort inspect: shows the contents of a model file, an adapter, a trainer's state, a run's folder
// or a teacher's cache.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/flags.h"
#include "data/model_tokenizer.h"
#include "data/teacher_cache.h"
#include "formats/hdf5_child.h"
#include "formats/safetensors.h"
#include "model/store/base_record.h"

namespace retort {
namespace {

// The report on any kind of file or folder is {"kind", "path", "facts": {label: value},
// "tensors": [...]}. It is printed as JSON or as two aligned tables.
Json Report(const char* kind, const Path& path) {
  return {{"kind", kind}, {"path", path.string()}, {"facts", Json::object()}};
}

Json TensorRow(const std::string& name, std::string_view type, const std::vector<int64_t>& shape,
               int64_t bytes) {
  return {{"name", name}, {"type", std::string(type)}, {"shape", shape}, {"bytes", bytes}};
}

void AddTensors(const TensorTable& tensors, Json& report) {
  Json rows = Json::array();
  int64_t bytes = 0, elements = 0;
  for (const TensorEntry& e : tensors.entries()) {
    rows.push_back(TensorRow(e.name, e.type_name(), e.shape, static_cast<int64_t>(e.bytes.size())));
    bytes += static_cast<int64_t>(e.bytes.size());
    elements += static_cast<int64_t>(ElementsOf(e.shape, e.name));
  }
  report["facts"]["tensors"] = rows.size();
  report["facts"]["elements"] = elements;
  report["facts"]["tensor bytes"] = bytes;
  report["tensors"] = std::move(rows);
}

Json InspectGguf(const Path& path) {
  const GgufFile file = ReadGguf(path);
  Json report = Report("GGUF file", path);
  report["facts"]["version"] = file.version;
  report["facts"]["alignment"] = file.alignment;
  for (const auto& [key, value] : file.metadata.entries()) report["facts"][key] = ValueText(value);
  AddTensors(file.tensors, report);
  return report;
}

Json InspectSafetensors(const Path& path) {
  const SafetensorsFile file = ReadSafetensors(path);
  Json report = Report("safetensors file", path);
  for (const auto& [key, value] : file.metadata) report["facts"][key] = value;
  AddTensors(file.tensors, report);
  return report;
}

// The file may be anybody's, so the library reads it in a process of its own.
Json InspectHdf5(const Path& path) {
  Json report = Report("HDF5 file", path);
  Json rows = Json::array();
  ReadHdf5InChild(path, Hdf5Wanted::kNames, 0, [&](Hdf5Item&& d) {
    rows.push_back(TensorRow(d.name, d.type ? NameOf(*d.type) : "other", d.shape, d.stored_bytes));
  });
  report["facts"]["datasets"] = rows.size();
  report["tensors"] = std::move(rows);
  return report;
}

// Adds the entries of a JSON object as facts, one line each.
void AddFacts(const Json& object, const std::string& prefix, Json& report) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object())
      AddFacts(value, prefix + key + ".", report);
    else
      report["facts"][prefix + key] = value;
  }
}

Json InspectModelFolder(const Path& path) {
  Json report = Report("Hugging Face folder", path);
  const ModelFiles files = OpenModel(path);
  AddFacts(ReadJson(path / "config.json"), "", report);
  const auto tokenizer = LoadTokenizer(files);
  report["facts"]["tokenizer ids"] = tokenizer->vocab_size();
  report["facts"]["adds BOS"] = tokenizer->spec().add_bos;
  report["facts"]["chat template"] = !tokenizer->spec().chat_template.empty();
  AddTensors(files.tensors, report);
  return report;
}

// An adapter, or a checkpoint: an adapter with the trainer's state.
Json InspectAdapter(const Path& path) {
  Json report =
      Report(std::filesystem::exists(path / "trainer.h5") ? "checkpoint" : "adapter", path);
  AddFacts(ReadJson(path / "adapter_config.json"), "", report);
  if (std::filesystem::exists(path / kManifestName))
    AddFacts(ReadJson(path / kManifestName), "retort.", report);
  AddTensors(ReadSafetensors(path / "adapter_model.safetensors").tensors, report);
  return report;
}

Json InspectRun(const Path& path) {
  Json report = Report("run", path);
  const Path metrics = path / "metrics.jsonl", checkpoints = path / "checkpoints",
             summary = path / "summary.json";
  report["facts"]["finished"] = std::filesystem::exists(summary);
  if (std::filesystem::exists(summary)) AddFacts(ReadJson(summary), "", report);
  std::vector<std::string> lines = std::filesystem::exists(metrics) ? Split(ReadText(metrics), '\n')
                                                                    : std::vector<std::string>();
  while (!lines.empty() && Strip(lines.back()).empty()) lines.pop_back();
  if (!lines.empty())
    AddFacts(ParseJson(lines.back(), Cat(metrics.string(), ":", lines.size())), "last.", report);
  Json steps = Json::array();
  if (std::filesystem::is_directory(checkpoints)) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(checkpoints))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    steps = names;
  }
  report["facts"]["checkpoints"] = steps;
  AddFacts(ReadJson(path / "recipe.json"), "recipe.", report);
  return report;
}

Json InspectTeacherCache(const Path& path) {
  const TeacherCacheSummary cache = SummarizeTeacherCache(path);
  Json report = Report("teacher's cache", path);
  report["facts"] = {{"finished", cache.finished()},
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
                     {"bytes stored", cache.stored_bytes}};
  return report;
}

Json InspectFolder(const Path& path) {
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

Json Inspect(const Path& path) {
  if (std::filesystem::is_directory(path)) return InspectFolder(path);
  const auto file = MappedFile::Open(path);
  const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()),
                              file->bytes().size());
  if (text.starts_with("GGUF")) return InspectGguf(path);
  if (text.starts_with("\x89HDF")) return InspectHdf5(path);
  if (path.extension() == ".safetensors") return InspectSafetensors(path);
  throw InputError(path.string(), ": is no GGUF, HDF5 or safetensors file");
}

using Table = std::vector<std::vector<std::string>>;

// Each column is as wide as its longest cell; the last one is not padded.
void PrintTable(const Table& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += "  " + row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - row[i].size(), ' ');
    }
    PrintLine(line);
  }
}

void Print(const Json& report) {
  PrintLine(Cat(report["path"].get<std::string>(), ": ", report["kind"].get<std::string>()));
  Table facts;
  for (const auto& [label, value] : report["facts"].items()) {
    facts.push_back({label, value.is_string() ? value.get<std::string>() : DumpJson(value)});
  }
  PrintTable(facts);
  if (!report.contains("tensors")) return;
  PrintLine("");
  Table tensors;
  for (const Json& t : report["tensors"]) {
    tensors.push_back({t["name"].get<std::string>(), t["type"].get<std::string>(),
                       ShapeText(t["shape"].get<std::vector<int64_t>>()),
                       BytesText(t["bytes"].get<int64_t>())});
  }
  PrintTable(tensors);
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
                   "GGUF, safetensors or HDF5 file; folder of a model, adapter, checkpoint, run or "
                   "teacher's cache")
      ->required();
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] {
    const Json report = Inspect(flags->path);
    if (flags->json)
      PrintJson(report);
    else
      Print(report);
  });
}

}  // namespace retort
