// SPDX-License-Identifier: Apache-2.0
#include "session/resume.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "recipes/keys.h"
#include "recipes/recipe_reader.h"
#include "train/checkpoint.h"

namespace retort {
namespace {

OnResume OnResumeOf(const std::string& key) { return FindRecipeKey(key)->on_resume; }

bool AnyIsOfLength(const std::vector<std::string>& keys) {
  return std::ranges::any_of(keys,
                             [](const auto& key) { return OnResumeOf(key) == OnResume::kLength; });
}

bool IsOfExport(const std::string& key) { return FindRecipeKey(key)->section() == "export"; }

int64_t StepsTaken(const Path& folder, FolderState state) {
  if (state != FolderState::kFinished) {
    const auto last = LastCheckpoint(folder / "checkpoints");
    return last ? last->step : 0;
  }
  const Path file = folder / "summary.json";
  return GetInt(ReadJson(file), "steps", file.string());
}

}  // namespace

std::string DecidedCheckpointing(const std::string& checkpointing) {
  return checkpointing == "auto" ? "none" : checkpointing;
}

std::string RecordedCheckpointing(const Path& folder) {
  const Path file = folder / "recipe.json";
  if (!std::filesystem::exists(file)) return "auto";
  const Recipe recorded = ParseRecipe(ReadText(file), file.string(), folder);
  return DecidedCheckpointing(recorded.train.gradient_checkpointing);
}

FolderState PrepareRun(const TrainingSession& session, const Path& folder, bool resume) {
  const Recipe& recipe = session.recipe();
  const std::string text = DumpJson(ResolvedJson(recipe), 2) + "\n";
  std::vector<std::string> changed;
  const auto refused = [&](const std::string& text_of_old) {
    Recipe old = ParseRecipe(text_of_old, (folder / "recipe.json").string(), folder);
    old.train.gradient_checkpointing = DecidedCheckpointing(old.train.gradient_checkpointing);
    changed = ChangedKeys(old, recipe);
    std::vector<std::string> others = changed;
    std::erase_if(others, [](const auto& key) { return OnResumeOf(key) != OnResume::kRefused; });
    return others;
  };
  const FolderState state = PrepareRunFolder(folder, resume, text, refused);
  if (changed.empty()) return state;
  const int64_t taken = StepsTaken(folder, state), wanted = session.total_steps();
  const bool longer = AnyIsOfLength(changed) && wanted > taken;
  if (AnyIsOfLength(changed) && wanted < taken) {
    throw InputError(folder.string(), ": the run has taken ", taken, " steps, and a length of ",
                     wanted, " is asked for; a run can be lengthened only (train.steps, ",
                     "train.epochs), or begun anew with --force");
  }
  // What is recorded is a recipe that ran, or what is exported of it.
  const bool finished = state == FolderState::kFinished;
  if (!finished || longer || std::ranges::all_of(changed, IsOfExport))
    WriteTextAtomically(folder / "recipe.json", text);
  if (!finished || !longer) return state;
  std::filesystem::remove(folder / "summary.json");
  return FolderState::kResumable;
}

}  // namespace retort
