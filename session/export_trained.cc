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
// which run wrote it. Places within the run's folder are kept as seen from there, so that the run
// may be named, or moved, otherwise.
class ExportRecord {
 public:
  explicit ExportRecord(const Path& folder) : folder_(folder), file_(folder / kExports) {
    if (std::filesystem::exists(file_)) json_ = ReadJson(file_);
    if (!json_.is_object()) json_ = Json::object();
  }
  // Whether the run has put it there, of whatever was trained by then. Older records keep a place
  // as it was named.
  bool Wrote(const std::string& what, const Path& place) const {
    const auto at = json_.find(what);
    return at != json_.end() && (*at == Kept(place) || *at == place.string());
  }
  // What was exported of other weights is not what is to be there.
  bool Has(const std::string& what, const Path& place, const std::string& trained) const {
    return GetString(json_, "trained", file_.string(), "") == trained && Wrote(what, place);
  }
  void Put(const std::string& what, const Path& place, const std::string& trained) {
    if (GetString(json_, "trained", file_.string(), "") != trained) json_ = {{"trained", trained}};
    json_[what] = Kept(place);
    WriteTextAtomically(file_, DumpJson(json_, 2) + "\n");
  }

 private:
  // Absolute, or relative to the run's folder.
  std::string Kept(const Path& place) const {
    const Path whole = std::filesystem::weakly_canonical(place);
    const Path within = whole.lexically_relative(std::filesystem::weakly_canonical(folder_));
    return (within.empty() || *within.begin() == ".." ? whole : within).string();
  }

  Path folder_, file_;
  Json json_;
};

}  // namespace

void CheckExports(const Recipe& recipe, const Path& folder) {
  if (!WantsExport(recipe)) return;
  const ExportPaths paths(recipe, folder);
  const bool adapter = recipe.adapter.kind != "none";
  const std::vector<Path> sources = {recipe.model.path, recipe.adapter.init};
  // What this run has put there is replaced once it has trained on.
  if (adapter && !ExportRecord(folder).Wrote("merged", paths.merged))
    CheckTarget(paths.merged, TargetKind::kFolder, sources);
  for (const std::string& type : recipe.exports.gguf)
    CheckTarget(paths.Gguf(recipe, type), TargetKind::kFile, sources);
}

std::vector<std::string> ExportTrained(const Recipe& recipe, const Path& folder) {
  if (!WantsExport(recipe)) return {};
  const ExportPaths paths(recipe, folder);
  ExportRecord record(folder);
  const std::string trained = Sha256OfFile(paths.weights);
  std::vector<std::string> made;
  MakeFolders(paths.out);
  if (recipe.adapter.kind != "none" &&
      !(record.Has("merged", paths.merged, trained) && std::filesystem::exists(paths.merged))) {
    if (record.Wrote("merged", paths.merged)) RemoveFolder(paths.merged);
    CheckTarget(paths.merged, TargetKind::kFolder);
    // Noted before it is made: a folder appears whole or not at all.
    record.Put("merged", paths.merged, trained);
    const std::string& onto = recipe.exports.merge;
    const MergeReport report =
        Merge({{}, folder / "adapter", paths.merged, onto == "auto" ? "" : onto});
    made.push_back(Cat(paths.merged.string(), ": merged onto ", report.onto));
    for (const std::string& note : report.notes) made.push_back(note);
  }
  for (const std::string& type : recipe.exports.gguf) {
    const Path file = paths.Gguf(recipe, type);
    if (record.Has(type, file, trained) && std::filesystem::exists(file)) continue;
    const VerifiedExport done = ExportGguf(OpenModel(paths.merged), file, OptionsOfType(type));
    record.Put(type, file, trained);
    made.push_back(Cat(file.string(), ": ", BytesText(done.written.bytes), ", verified, mean KL ",
                       done.verdict.mean_kl));
  }
  return made;
}

}  // namespace retort
