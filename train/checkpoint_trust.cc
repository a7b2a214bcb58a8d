// SPDX-License-Identifier: Apache-2.0
// Converts a trainer's state from elsewhere: see TrustCheckpoint.
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/seal.h"
#include "formats/hdf5_child.h"
#include "train/checkpoint.h"

namespace retort {
namespace {

template <class T>
void Copy(const Hdf5Item& item, Hdf5Writer& writer) {
  std::vector<T> values(item.values.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), item.values.data(), item.values.size());
  writer.Write<T>(item.name, item.shape, values);
}

// Nothing else is in a trainer's state: numbers in one row, and the step.
void CopyItem(const Hdf5Item& item, const std::string& place, Hdf5Writer& writer) {
  using Kind = Hdf5Item::Kind;
  if (item.kind == Kind::kInt && item.name == "step") return writer.SetInt("step", item.integer);
  const std::string group = item.name.substr(0, item.name.find('/'));
  const auto names = StateNames();
  const bool known = group == "value" || std::ranges::find(names, group) != names.end();
  if (!known || item.kind != Kind::kDataset || item.shape.size() != 1 ||
      (item.type != Hdf5Type::kF32 && item.type != Hdf5Type::kU8)) {
    throw InputError(place, ": holds '", item.name, "', which no trainer's state has");
  }
  if (item.type == Hdf5Type::kF32)
    Copy<float>(item, writer);
  else
    Copy<uint8_t>(item, writer);
}

void PutManifest(const Path& path, const Json& manifest) {
  WriteTextAtomically(path, DumpJson(manifest, 2) + "\n");
}

}  // namespace

Hdf5Stamp TrainerStateStamp(const Json& manifest, const std::string& where) {
  const auto files = manifest.find("files"), seals = manifest.find("seals");
  if (files == manifest.end() || !files->is_object())
    throw InputError(where, ": 'files' is missing");
  Hdf5Stamp stamp;
  stamp.sha256 = GetString(*files, kTrainerState, where + ": files");
  if (seals != manifest.end()) stamp.seal = GetString(*seals, kTrainerState, where + ": seals", "");
  return stamp;
}

bool TrustCheckpoint(const Path& folder) {
  RequireSecret();
  const Path manifest_path = folder / kManifestName, state = folder / kTrainerState;
  const std::string where = manifest_path.string();
  Json manifest = ReadJson(manifest_path);
  const Hdf5Stamp stamp = TrainerStateStamp(manifest, where);
  if (Hdf5Reader::IsSealed(state, stamp)) return false;
  const auto file = MappedFile::Open(state);
  if (Sha256(file->bytes()) != stamp.sha256) {
    throw InputError(state.string(), ": its checksum is not the one in ", kManifestName,
                     "; the file was changed or damaged; ", kGoBack);
  }
  Hdf5Writer writer(state);
  // Nothing is compressed, so the values are no larger than the file.
  ReadHdf5InChild(state, Hdf5Wanted::kValues, static_cast<int64_t>(file->bytes().size()),
                  [&](Hdf5Item&& item) { CopyItem(item, state.string(), writer); });
  // The seal counts before the checksum does: until the new file is in place, the old one fits its
  // checksum, and from then on the new one fits its seal.
  const Hdf5Stamp made = writer.Commit([&](const Hdf5Stamp& made) {
    manifest["seals"] = {{kTrainerState, made.seal}};
    PutManifest(manifest_path, manifest);
  });
  manifest["files"][kTrainerState] = made.sha256;
  PutManifest(manifest_path, manifest);
  return true;
}

}  // namespace retort
