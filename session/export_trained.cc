// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "base/error.h"
#include "export/merge.h"
#include "export/verify.h"
#include "model/store/target.h"
#include "session/export_record.h"
#include "session/session.h"

namespace retort {
namespace {

struct ExportPaths {
  Path out, merged, weights;  // weights: of what was trained

  ExportPaths(const Recipe& recipe, const Path& folder) {
    const bool adapter = recipe.adapter.kind != "none";
    out = recipe.exports.out.empty() ? folder / "export" : recipe.exports.out;
    merged = adapter ? out / "merged" : folder / "model";
    weights = adapter ? folder / "adapter" / "adapter_model.safetensors"
                      : folder / "model" / "model.safetensors";
  }
  Path Gguf(const Recipe& recipe, const std::string& type) const {
    return out / Cat(recipe.name, "-", type, ".gguf");
  }
};

bool WantsExport(const Recipe& recipe) {
  return !recipe.exports.gguf.empty() || !recipe.exports.out.empty();
}

// A run replaces nothing but what it has put there itself.
void CheckFree(const Path& place, TargetKind kind, const std::vector<Path>& sources) {
  CheckTarget(place, kind, sources);
  if (kind == TargetKind::kFile && std::filesystem::exists(std::filesystem::symlink_status(place)))
    throw InputError(place.string(), ": is there already; name another place");
}

}  // namespace

void CheckExports(const Recipe& recipe, const Path& folder, bool anew) {
  if (!WantsExport(recipe)) return;
  const ExportPaths paths(recipe, folder);
  std::optional<ExportRecord> record;
  if (!anew) record.emplace(folder);
  const auto check = [&](const Path& place, TargetKind kind) {
    if (record ? record->Owns(place) : IsWithinRun(place, folder)) return;
    CheckFree(place, kind, {recipe.model.path, recipe.adapter.init});
  };
  if (recipe.adapter.kind != "none") check(paths.merged, TargetKind::kFolder);
  for (const std::string& type : recipe.exports.gguf)
    check(paths.Gguf(recipe, type), TargetKind::kFile);
}

std::vector<std::string> ExportTrained(const Recipe& recipe, const Path& folder) {
  if (!WantsExport(recipe)) return {};
  const ExportPaths paths(recipe, folder);
  ExportRecord record(folder);
  const std::string trained = Sha256OfFile(paths.weights);
  std::vector<std::string> made;
  MakeFolders(paths.out);
  if (recipe.adapter.kind != "none" && !record.Has(paths.merged, trained)) {
    MergeOptions options{.adapter = folder / "adapter", .out = paths.merged};
    if (recipe.exports.merge != "auto") options.onto = recipe.exports.merge;
    options.replace = record.Owns(paths.merged);
    options.before_commit = [&](const Path& whole) { record.Put(paths.merged, trained, whole); };
    const MergeReport report = Merge(options);
    made.push_back(Cat(paths.merged.string(), ": merged onto ", report.onto));
    for (const std::string& note : report.notes) made.push_back(note);
  }
  for (const std::string& type : recipe.exports.gguf) {
    const Path file = paths.Gguf(recipe, type);
    if (record.Has(file, trained)) continue;
    if (!record.Owns(file)) CheckFree(file, TargetKind::kFile, {});
    const VerifiedExport done =
        ExportGguf(OpenModel(paths.merged), file, OptionsOfType(type),
                   [&](const Path& whole) { record.Put(file, trained, whole); });
    made.push_back(Cat(file.string(), ": ", BytesText(done.written.bytes), ", verified, mean KL ",
                       done.verdict.mean_kl));
  }
  if (made.empty()) return made;
  for (const Path& stale : record.Stale(trained))
    made.push_back(Cat(stale.string(), ": is of what the run had trained before; left as it is"));
  return made;
}

}  // namespace retort
