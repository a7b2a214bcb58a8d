// SPDX-License-Identifier: Apache-2.0
// Converts a trainer's state from elsewhere: see TrustCheckpoint.
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/seal.h"
#include "formats/hdf5_child.h"
#include "train/checkpoint.h"

namespace retort {
namespace {

// Nothing else is in a trainer's state: numbers in one row, and the step.
void CopyItem(const Hdf5Item& item, const std::string& place, Hdf5Writer& writer) {
  using Kind = Hdf5Item::Kind;
  if (item.kind == Kind::kInt && item.name == "step") return writer.SetInt("step", item.integer);
  bool known = false;
  for (const char* group : {"first/", "second/", "value/"}) known |= StartsWith(item.name, group);
  if (!known || item.kind != Kind::kDataset || item.type != Hdf5Type::kF32 ||
      item.shape.size() != 1) {
    throw InputError(place, ": holds '", item.name, "', which no trainer's state has");
  }
  std::vector<float> values(item.values.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), item.values.data(), item.values.size());
  writer.Write<float>(item.name, item.shape, values);
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
