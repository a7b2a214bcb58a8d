// SPDX-License-Identifier: Apache-2.0
#include "model/store/run_folder.h"

#include "base/error.h"
#include "base/shell_word.h"

namespace retort {
namespace {

bool HasAdapter(const Path& folder) {
  return std::filesystem::exists(folder / "adapter_config.json");
}
bool HasModel(const Path& folder) { return std::filesystem::exists(folder / "config.json"); }

}  // namespace

std::optional<Path> AdapterFolderAt(const Path& path) {
  if (HasModel(path)) return std::nullopt;
  if (HasAdapter(path)) return path;
  if (HasAdapter(path / "adapter")) return path / "adapter";
  return std::nullopt;
}

Path ModelAt(const Path& path) {
  if (!std::filesystem::is_directory(path) || HasModel(path)) return path;
  if (HasModel(path / "model")) return path / "model";
  if (const auto adapter = AdapterFolderAt(path)) {
    throw InputError(
        path.string(),
        ": holds an adapter, not a model; give its base, or make a model of both: retort merge "
        "--adapter ",
        ShellWord(adapter->string()));
  }
  return path;
}

}  // namespace retort
