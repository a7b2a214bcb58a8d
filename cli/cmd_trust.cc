// SPDX-License-Identifier: Apache-2.0
// retort trust PATH: converts HDF5 files of a teacher's cache, a checkpoint or a run that this
// user's Retort did not write (docs/trust.md).
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/flags.h"
#include "data/teacher_cache.h"
#include "train/checkpoint.h"

namespace retort {
namespace {

// The checkpoints of a run that hold a trainer's state, by name.
std::vector<Path> CheckpointsOf(const Path& run) {
  std::vector<Path> out;
  if (!std::filesystem::is_directory(run / "checkpoints")) return out;
  for (const auto& entry : std::filesystem::directory_iterator(run / "checkpoints")) {
    const bool hidden = StartsWith(entry.path().filename().string(), ".");
    if (!hidden && std::filesystem::exists(entry.path() / kTrainerState))
      out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

// The number of files that were converted.
int64_t Trust(const Path& path) {
  if (std::filesystem::exists(path / kTeacherCacheManifest)) return TrustTeacherCache(path);
  if (std::filesystem::exists(path / kTrainerState)) return TrustCheckpoint(path) ? 1 : 0;
  const std::vector<Path> checkpoints = CheckpointsOf(path);
  if (checkpoints.empty()) {
    throw InputError(path.string(), ": holds no ", kTeacherCacheManifest, " (a teacher's cache), ",
                     kTrainerState, " (a checkpoint) or checkpoints (a run)");
  }
  int64_t converted = 0;
  for (const Path& checkpoint : checkpoints) converted += TrustCheckpoint(checkpoint) ? 1 : 0;
  return converted;
}

}  // namespace

void AddTrust(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "trust",
      "Convert a teacher's cache, checkpoint or run from elsewhere so that it may be used");
  struct TrustFlags {
    std::string path;
    bool json = false;
  };
  auto flags = std::make_shared<TrustFlags>();
  command
      ->add_option("path", flags->path,
                   "folder of a teacher's cache, a checkpoint or a run; its HDF5 files are read in "
                   "a process of their own and written again")
      ->required();
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] {
    const int64_t converted = Trust(flags->path);
    if (flags->json) return PrintJson({{"path", flags->path}, {"converted", converted}});
    PrintLine(converted == 0
                  ? Cat(flags->path, ": every file has this user's seal; nothing to convert")
                  : Cat(flags->path, ": ", converted, converted == 1 ? " file" : " files",
                        " converted and sealed"));
  });
}

}  // namespace retort
