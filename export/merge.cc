// SPDX-License-Identifier: Apache-2.0
#include "export/merge.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "export/folder_tensors.h"
#include "export/merger.h"
#include "model/store/answer_schema.h"
#include "model/store/base_check.h"
#include "model/store/chat_files.h"
#include "model/store/folders.h"
#include "model/store/target.h"

namespace retort {
namespace {

// Limits of what rounding may do to an adapter's change.
constexpr double kLeastKept = 0.5, kMostRounding = 1;
constexpr double kNotedKept = 0.9, kNotedRounding = 0.5;

// Adds what the user should know of a merge whose rounding takes much of the adapter away, and
// refuses one that takes too much.
void JudgeRounding(const MergeOptions& options, std::string_view format, MergeReport& report) {
  char text[160];
  std::snprintf(text, sizeof text,
                "%.1f %% of the adapter's change is left after rounding, whose error is %.2g times "
                "the change",
                100 * report.kept, report.rounding);
  const std::string said = Cat("rounding to ", format, ": ", text);
  if (!(report.kept >= kLeastKept && report.rounding <= kMostRounding)) {  // or not a number
    if (!options.force) {
      throw Failure(options.adapter.string(), ": ", said,
                    "; the adapter is too weak to be merged into this base: use it unmerged, train "
                    "it longer, or merge all the same with --force");
    }
    report.notes.push_back(said);
  } else if (report.kept < kNotedKept || report.rounding > kNotedRounding) {
    report.notes.push_back(said);
  }
}

MergeReport Finished(const MergeOptions& options, WeightFormat format, const Merger& merger,
                     std::vector<std::string> notes) {
  MergeReport report = merger.Report();
  if (!std::isfinite(report.relative))
    throw InputError(
        options.adapter.string(),
        ": its change of the base is not a finite number; it is damaged, or its weight "
        "is too large");
  report.notes = std::move(notes);
  if (merger.HasZeroAdapter()) {
    report.notes.push_back(ZeroAdapterNote(options.adapter));
  } else {
    JudgeRounding(options, TraitsOf(format).name, report);
  }
  return report;
}

// How the merged model in `folder` predicts.
MergeAudit Audited(const MergeOptions& options, const Examples& examples, const BaseRecord& record,
                   const Path& folder, std::string_view format) {
  MergeAudit audit =
      AuditMerge({options.base, AllOf(options), folder, options.audit_tokens, options.threads},
                 examples, record);
  if (!(audit.lost() <= kMostLost) && !options.force) {  // or not a number
    char text[200];
    std::snprintf(text, sizeof text,
                  "the merged model is %.3g nats a token away from base and adapter as trained, "
                  "%.0f %% of what the adapter changes (limit: %.0f %%)",
                  audit.merged.mean_kl, 100 * audit.lost(), 100 * kMostLost);
    throw Failure(options.adapter.string(), ": merged onto ", options.onto, ", stored as ", format,
                  ": ", text, "; merge onto the format that it was trained on (", record.weights,
                  "), train it on the one that is to be served ('model.weights'), or merge all the "
                  "same with --force");
  }
  return audit;
}

void SetInJson(const Path& path, const std::function<void(Json&)>& change) {
  Json j = ReadJson(path);
  change(j);
  WriteTextAtomically(path, DumpJson(j, 2) + "\n");
}

// The files of a folder's tensors and their index.
void WriteFiles(Merger& merger, const Path& base, const Path& folder) {
  std::map<std::string, std::string> new_tensors;  // their files
  for (const Path& file : TensorFiles(merger.files())) {
    const std::string name = file.filename().string();
    for (std::string& tensor : merger.WriteFile(file, folder / name))
      new_tensors[std::move(tensor)] = name;
  }
  const Path index = base / "model.safetensors.index.json";
  if (!std::filesystem::exists(index)) return;
  CopyFileAtomically(index, folder / index.filename());
  if (new_tensors.empty()) return;
  SetInJson(folder / index.filename(), [&](Json& j) {
    for (const auto& [tensor, file] : new_tensors) j["weight_map"][tensor] = file;
  });
}

// The options with the base, and the form of it, that the adapter's record names where they name
// none.
MergeOptions Resolved(MergeOptions options, const BaseRecord& record) {
  if (options.base.empty()) options.base = record.path;
  if (options.base.empty())
    throw InputError(options.adapter.string(), ": has no retort.json; name its --base");
  for (const WeightedAdapter& one : options.others) {
    const auto other = ReadBaseRecord(one.folder);
    if (options.onto.empty() && other && (other->weights == "nf4") != (record.weights == "nf4"))
      throw InputError(one.folder.string(), " and ", options.adapter.string(),
                       " were trained on the base in different forms; say --onto original or nf4");
  }
  if (options.onto.empty()) options.onto = record.weights == "nf4" ? "nf4" : "original";
  if (options.onto != "nf4" && options.onto != "original")
    throw InputError("--onto '", options.onto, "' is not known; use original or nf4");
  return options;
}

// The type of the merged weights.
WeightFormat StoredAs(const MergeOptions& options, const ModelFiles& base) {
  if (base.gguf || base.quantised()) return FolderFormat(base, options.type);
  if (options.type != "auto")
    throw InputError("--type ", options.type,
                     " is for a base that is quantised; a folder keeps its own type");
  return base.stored_format();
}

// That the adapters were trained on this base, and that the target may be made of them. Returns
// what the user should know.
std::vector<std::string> CheckBases(const MergeOptions& options, const ModelFiles& base) {
  std::vector<Path> sources = {options.base};
  std::vector<std::string> notes;
  for (const WeightedAdapter& one : AllOf(options)) {
    sources.push_back(one.folder);
    std::ranges::move(CheckAdapterBase(one.folder, base, options.threads),
                      std::back_inserter(notes));
  }
  if (!options.replace) CheckTarget(options.out, TargetKind::kFolder, sources);
  return notes;
}

// Configuration and tokenizer, as the base has them but for what the merge changes.
void WriteOtherFiles(const Merger& merger, WeightFormat format, const Path& folder,
                     MergeReport& report) {
  const std::string type = merger.IsMadeAnew() ? TorchType(format) : "";
  std::ranges::move(WriteModelFiles(merger.files(), folder, type),
                    std::back_inserter(report.notes));
  if (!merger.Unties()) return;
  SetInJson(folder / "config.json", [](Json& j) { j["tie_word_embeddings"] = false; });
  report.notes.push_back(
      "the adapter parts embedding and head, which were one in the base: the "
      "model has a head of its own");
}

}  // namespace

Json MergeJson(const MergeReport& r) {
  Json out = {{"onto", r.onto},         {"matrices", r.matrices}, {"changed", r.changed},
              {"largest", r.largest},   {"relative", r.relative}, {"quantisation", r.quantisation},
              {"rounding", r.rounding}, {"kept", r.kept},         {"notes", r.notes}};
  if (r.audit) out["audit"] = MergeAuditJson(*r.audit);
  return out;
}

MergeReport Merge(const MergeOptions& given) {
  BaseRecord record = ReadBaseRecord(given.adapter).value_or(BaseRecord{"", "", "as-is", true, ""});
  record.answers = AnswerSchemaOf(AllOf(given));
  const MergeOptions options = Resolved(given, record);
  ModelFiles files = OpenModel(options.base);
  const WeightFormat format = StoredAs(options, files);
  std::vector<std::string> notes = CheckBases(options, files);
  Examples examples;  // of the audit, whose faults are told before the merge
  if (!options.audit.empty()) examples = AuditExamples(options.audit, options.adapter, files);
  const auto backend = MakeCpuBackend(options.threads, Compute::kF32);
  Merger merger(options, std::move(files), record, *backend);
  const TargetLock lock(options.out);
  AtomicFolder folder(options.out,
                      options.replace ? AtomicFolder::Old::kReplace : AtomicFolder::Old::kRefuse);
  if (merger.IsMadeAnew()) {
    merger.WriteFolder(format, folder.path());
  } else {
    WriteFiles(merger, options.base, folder.path());
  }
  MergeReport report = Finished(options, format, merger, std::move(notes));
  WriteOtherFiles(merger, format, folder.path(), report);
  WriteTaughtChat(folder.path(), record);
  if (!options.audit.empty())
    report.audit = Audited(options, examples, record, folder.path(), TraitsOf(format).name);
  if (options.before_commit) options.before_commit(folder.path());
  folder.Commit();
  return report;
}

}  // namespace retort
