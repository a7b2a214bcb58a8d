// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "export/merge.h"
#include "export/verify.h"
#include "model/store/target.h"
#include "session/session.h"

namespace retort {
namespace {

constexpr const char* kExports = "exports.json";

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

// What this run has exported, in its folder: a name's presence in an export folder does not tell
// which run wrote it.
class ExportRecord {
 public:
  ExportRecord(const Path& folder, const std::string& trained) : file_(folder / kExports) {
    if (std::filesystem::exists(file_)) json_ = ReadJson(file_);
    if (!json_.is_object() || GetString(json_, "trained", file_.string(), "") != trained)
      json_ = {{"trained", trained}};
  }
  bool Has(const std::string& what, const Path& place) const {
    const auto at = json_.find(what);
    return at != json_.end() && *at == place.string();
  }
  void Put(const std::string& what, const Path& place) {
    json_[what] = place.string();
    WriteTextAtomically(file_, DumpJson(json_, 2) + "\n");
  }

 private:
  Path file_;
  Json json_;
};

}  // namespace

void CheckExports(const Recipe& recipe, const Path& folder) {
  if (!WantsExport(recipe)) return;
  const ExportPaths paths(recipe, folder);
  const bool adapter = recipe.adapter.kind != "none";
  const std::vector<Path> sources = {recipe.model.path, recipe.adapter.init};
  // With a record, what is there is this run's.
  if (adapter && !std::filesystem::exists(folder / kExports))
    CheckTarget(paths.merged, TargetKind::kFolder, sources);
  for (const std::string& type : recipe.exports.gguf)
    CheckTarget(paths.Gguf(recipe, type), TargetKind::kFile, sources);
}

std::vector<std::string> ExportTrained(const Recipe& recipe, const Path& folder) {
  if (!WantsExport(recipe)) return {};
  const ExportPaths paths(recipe, folder);
  ExportRecord record(folder, Sha256OfFile(paths.weights));
  std::vector<std::string> made;
  MakeFolders(paths.out);
  if (recipe.adapter.kind != "none" &&
      !(record.Has("merged", paths.merged) && std::filesystem::exists(paths.merged))) {
    CheckTarget(paths.merged, TargetKind::kFolder);
    // Noted before it is made: a folder appears whole or not at all.
    record.Put("merged", paths.merged);
    const std::string& onto = recipe.exports.merge;
    const MergeReport report =
        Merge({{}, folder / "adapter", paths.merged, onto == "auto" ? "" : onto});
    made.push_back(Cat(paths.merged.string(), ": merged onto ", report.onto));
    for (const std::string& note : report.notes) made.push_back(note);
  }
  for (const std::string& type : recipe.exports.gguf) {
    const Path file = paths.Gguf(recipe, type);
    if (record.Has(type, file) && std::filesystem::exists(file)) continue;
    const VerifiedExport done = ExportGguf(OpenModel(paths.merged), file, OptionsOfType(type));
    record.Put(type, file);
    made.push_back(Cat(file.string(), ": ", BytesText(done.written.bytes), ", verified, mean KL ",
                       done.verdict.mean_kl));
  }
  return made;
}

}  // namespace retort
