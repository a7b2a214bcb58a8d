// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/error.h"
#include "model/store/target.h"
#include "train/run.h"

namespace retort {
namespace {

constexpr const char* kRunLock = ".lock";

bool IsPartial(const std::string& name) {
  return name.starts_with('.') && name.ends_with(".partial");
}

// Whether the folder holds anything but what a killed process leaves before its first file.
bool HoldsFiles(const Path& folder) {
  std::error_code problem;
  if (!std::filesystem::exists(folder, problem)) return false;
  if (!std::filesystem::is_directory(folder, problem))
    throw InputError(folder.string(), ": is a file; name a folder with --run");
  std::filesystem::directory_iterator entries(folder, problem);
  if (problem) throw Failure(folder.string(), ": cannot be read: ", problem.message());
  for (const auto& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (name != kRunLock && !IsPartial(name)) return true;
  }
  return false;
}

// Whether a run writes an entry of this name into its folder.
bool BelongsToRun(const std::string& name) {
  constexpr std::string_view kNames[] = {
      kRunLock,      "recipe.json",  "metrics.jsonl", "metrics.csv", "samples.jsonl",
      "start.json",  "summary.json", "report.html",   "checkpoints", "adapter",
      "adapter.old", "model",        "model.old",     "export",      "exports.json"};
  return IsPartial(name) || name.starts_with("events.out.tfevents.") ||
         std::ranges::find(kNames, name) != std::end(kNames);
}

// Of the folder's own files: temporary ones, and a trained folder that was being replaced.
void RemoveRunLeftovers(const Path& folder) {
  std::error_code ignored;
  std::vector<Path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (IsPartial(entry.path().filename().string())) found.push_back(entry.path());
  }
  for (const Path& path : found) std::filesystem::remove_all(path, ignored);
  for (const char* name : {"adapter", "model"}) {
    const Path trained = folder / name, old = folder / Cat(name, ".old");
    if (std::filesystem::exists(old, ignored) && !std::filesystem::exists(trained, ignored))
      std::filesystem::rename(old, trained, ignored);
    std::filesystem::remove_all(old, ignored);
  }
  RemoveLeftovers(folder);
  RemoveBrokenCheckpoints(folder / "checkpoints");
}

}  // namespace

std::unique_ptr<FileLock> LockRunFolder(const Path& folder) {
  std::error_code missing;
  if (std::filesystem::exists(folder, missing) && !std::filesystem::is_directory(folder, missing))
    throw InputError(folder.string(), ": is a file; name a folder with --run");
  MakeFolders(folder);
  return std::make_unique<FileLock>(folder / kRunLock, folder.string());
}

Path NumberedRunFolder(const Path& base, bool resume) {
  Path last = base;
  for (int64_t number = 1;; ++number) {
    Path folder = number == 1 ? base : Path(Cat(base.string(), "-", number));
    if (!HoldsFiles(folder)) return resume ? last : folder;
    last = std::move(folder);
  }
}

void RefuseUsedFolder(const Path& folder) {
  if (HoldsFiles(folder)) {
    throw InputError(
        folder.string(),
        ": is not empty; go on with --resume, begin anew with --force, or choose another "
        "folder with --run");
  }
}

void RefuseOtherThanRun(const Path& folder) {
  if (!HoldsFiles(folder)) return;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!BelongsToRun(name)) {
      throw InputError(
          entry.path().string(),
          ": is no part of a run, so --force does not remove the folder; move it away, "
          "or choose another folder with --run");
    }
  }
}

void RemoveRun(const Path& folder) {
  RefuseOtherThanRun(folder);
  std::vector<Path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename() != kRunLock) found.push_back(entry.path());
  }
  // recipe.json goes last, so that what a killed process leaves is still known as a run.
  std::partition(found.begin(), found.end(),
                 [](const Path& p) { return p.filename() != "recipe.json"; });
  for (const Path& path : found) {
    std::error_code problem;
    std::filesystem::remove_all(path, problem);
    if (problem) throw Failure(path.string(), ": cannot be removed: ", problem.message());
  }
}

FolderState PrepareRunFolder(
    const Path& folder, bool resume, const std::string& recipe_json,
    const std::function<std::vector<std::string>(const std::string&)>& changed_keys) {
  const Path recipe = folder / "recipe.json";
  if (!resume) RefuseUsedFolder(folder);
  if (!HoldsFiles(folder)) {
    MakeFolders(folder);
    WriteTextAtomically(recipe, recipe_json);
    return FolderState::kFresh;
  }
  if (!std::filesystem::exists(recipe)) {
    throw InputError(folder.string(),
                     ": is not empty and holds no run (no recipe.json is there); "
                     "choose another folder with --run");
  }
  if (const auto changed = changed_keys(ReadText(recipe)); !changed.empty()) {
    throw InputError(recipe.string(), ": the run was started with another recipe (",
                     Join(changed, ", "), "); put these back, or start anew with --run");
  }
  RemoveRunLeftovers(folder);
  return std::filesystem::exists(folder / "summary.json") ? FolderState::kFinished
                                                          : FolderState::kResumable;
}

}  // namespace retort
