// SPDX-License-Identifier: Apache-2.0
#include "train/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/hdf5.h"
#include "formats/safetensors.h"
#include "model/store/chat_files.h"
#include "model/store/fingerprint.h"
#include "model/store/folders.h"
#include "model/store/target.h"

namespace retort {
namespace {

// The objective's own parameters: trained with the model, but not part of the exported weights.
std::vector<Parameter*> Companions(Trainer& trainer) { return trainer.objective().parameters(); }

std::string WeightsFile(Trainer& trainer) {
  return trainer.adapter() ? "adapter_model.safetensors" : "model.safetensors";
}

void WriteWeights(const Path& folder, Trainer& trainer, const BaseRecord& base) {
  if (trainer.adapter()) {
    WriteAdapterFiles(folder, *trainer.adapter(), trainer.model().layout, trainer.model().backend);
  } else {
    WriteTrainedModelFiles(folder, trainer.model(), base.path);
    WriteTaughtChat(folder, base);
  }
}

Json Checksums(const Path& folder) {
  std::vector<Path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  Json out = Json::object();
  for (const Path& f : files) out[f.filename().string()] = Sha256OfFile(f);
  return out;
}

// `state`: of the trainer's state; null in a folder without one.
void WriteManifest(const Path& folder, Trainer& trainer, const BaseRecord& base,
                   const RunInputs& inputs, const Hdf5Stamp* state) {
  const BatchState place = trainer.stream().state();
  Json manifest = {{"retort", 1},
                   {"step", trainer.steps_done()},
                   {"data", {{"epoch", place.epoch}, {"position", place.position}}},
                   {"base", BaseJson(base)},
                   {"files", Checksums(folder)}};
  if (state) manifest["seals"] = {{kTrainerState, state->seal}};
  for (const auto& [key, hash] : inputs.hashes) manifest["inputs"][key] = hash;
  WriteTextAtomically(folder / kManifestName, DumpJson(manifest, 2) + "\n");
}

// Bytes as bytes, all other values as f32.
void WriteState(Hdf5Writer& writer, const std::string& name, const Tensor& t, Backend& backend) {
  if (t.dtype() == DType::kU8)
    writer.Write<uint8_t>(name, {t.elements()}, backend.ToHost<uint8_t>(t));
  else
    writer.Write<float>(name, {t.elements()}, backend.ToFloats(t));
}

void ReadState(const Hdf5Reader& reader, const std::string& name, Tensor& t, Backend& backend) {
  const auto read = [&]<class T>(std::vector<T> values) {
    reader.Read<T>(name, {t.elements()}, values);
    return values;
  };
  const auto count = static_cast<size_t>(t.elements());
  if (t.dtype() == DType::kU8)
    t = backend.Upload(read(std::vector<uint8_t>(count)));
  else if (t.dtype() == DType::kF32)
    t = backend.Upload(std::span<const float>(read(std::vector<float>(count))), t.shape());
  else
    t = backend.FromFloats(read(std::vector<float>(count)), t.shape());
}

Hdf5Stamp WriteTrainerState(const Path& path, Trainer& trainer) {
  Backend& backend = trainer.model().backend;
  Hdf5Writer writer(path);
  writer.SetInt("step", trainer.steps_done());
  for (const Optimizer::Trained& t : trainer.optimizer().trained()) {
    for (size_t i = 0; i < t.states.size(); ++i)
      WriteState(writer, Cat(t.names[i], "/", t.parameter->name), t.states[i], backend);
  }
  for (const Parameter* p : Companions(trainer))
    WriteState(writer, Cat("value/", p->name), p->value, backend);
  return writer.Commit();
}

void ReadTrainerState(const Path& path, const Hdf5Stamp& stamp, Trainer& trainer) {
  Backend& backend = trainer.model().backend;
  const Hdf5Reader reader = Hdf5Reader::OpenSealed(path, stamp, kGoBack);
  for (Optimizer::Trained& t : trainer.optimizer().trained()) {
    for (size_t i = 0; i < t.states.size(); ++i)
      ReadState(reader, Cat(t.names[i], "/", t.parameter->name), t.states[i], backend);
  }
  for (Parameter* p : Companions(trainer))
    ReadState(reader, Cat("value/", p->name), p->value, backend);
  trainer.optimizer().set_steps(reader.Int("step"));
}

void CheckInputs(const Json& manifest, const std::string& where, const BaseRecord& base,
                 const RunInputs& inputs) {
  const auto held = manifest.find("base");
  const std::string fingerprint =
      held == manifest.end() ? "" : GetString(*held, "fingerprint", where, "");
  if (!fingerprint.empty() && fingerprint != base.fingerprint && fingerprint != inputs.old_base) {
    throw InputError(where, ": the run was started on another base: the weights in ", base.path,
                     " have changed since; put them back, or start anew with --run");
  }
  if (held != manifest.end() &&
      !MayBeSameArchitecture(GetString(*held, "architecture", where, ""), base.architecture)) {
    throw InputError(where, ": the configuration of ", base.path,
                     " has changed since the run was started; put it back, or start anew with "
                     "--run");
  }
  const auto old = manifest.find("inputs");
  if (old == manifest.end()) return;
  for (const auto& [key, hash] : inputs.hashes) {
    const std::string before = GetString(*old, key, where, "");
    if (before.empty() || before == hash) continue;
    throw InputError(where, ": what '", key,
                     "' names has changed since the run was started; put it back, or start anew "
                     "with --run");
  }
}

// "step-120" -> 120
std::optional<int64_t> StepOf(const Path& folder) {
  const std::string name = folder.filename().string();
  int64_t step = 0;
  if (!name.starts_with("step-")) return std::nullopt;
  const auto [end, error] = std::from_chars(name.data() + 5, name.data() + name.size(), step);
  return error == std::errc() && end == name.data() + name.size() ? std::optional(step)
                                                                  : std::nullopt;
}

std::vector<CheckpointPlace> Checkpoints(const Path& checkpoints) {
  std::vector<CheckpointPlace> out;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoints, missing)) {
    const auto step = StepOf(entry.path());
    if (step && std::filesystem::exists(entry.path() / kManifestName))
      out.push_back({entry.path(), *step});
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  return out;
}

}  // namespace

void WriteTrained(const Path& folder, Trainer& trainer, const BaseRecord& base) {
  WriteWeights(folder, trainer, base);
  WriteManifest(folder, trainer, base, {}, nullptr);
}

void SaveCheckpoint(const Path& folder, Trainer& trainer, const BaseRecord& base,
                    const RunInputs& inputs) {
  MakeFolders(folder.parent_path());
  RemoveLeftovers(folder.parent_path());
  AtomicFolder beside(folder);
  WriteWeights(beside.path(), trainer, base);
  const Hdf5Stamp state = WriteTrainerState(beside.path() / kTrainerState, trainer);
  WriteManifest(beside.path(), trainer, base, inputs, &state);
  beside.Commit();
}

void LoadCheckpoint(const Path& folder, Trainer& trainer, const BaseRecord& base,
                    const RunInputs& inputs) {
  const std::string where = (folder / kManifestName).string();
  const Json manifest = ReadJson(folder / kManifestName);
  CheckInputs(manifest, where, base, inputs);
  const auto files = manifest.find("files");
  if (files == manifest.end() || !files->is_object())
    throw InputError(where, ": 'files' is missing");
  const std::string weights = WeightsFile(trainer);
  if (Sha256OfFile(folder / weights) != GetString(*files, weights, where)) {
    throw InputError((folder / weights).string(), ": its checksum is not the one in ",
                     kManifestName, "; ", kGoBack);
  }
  std::vector<Parameter*> parameters;
  const std::vector<Parameter*> companions = Companions(trainer);
  for (const Optimizer::Trained& t : trainer.optimizer().trained()) {
    if (std::ranges::find(companions, t.parameter) == companions.end())
      parameters.push_back(t.parameter);
  }
  if (trainer.adapter())
    trainer.adapter()->Read(ReadSafetensors(folder / weights).tensors, trainer.model().backend);
  else
    ReadParameters(folder / weights, parameters, trainer.model().layout, trainer.model().backend);
  ReadTrainerState(folder / kTrainerState, TrainerStateStamp(manifest, where), trainer);
  const auto data = manifest.find("data");
  if (data == manifest.end()) throw InputError(where, ": 'data' is missing");
  trainer.stream().Seek({GetInt(*data, "epoch", where), GetInt(*data, "position", where)});
}

std::optional<CheckpointPlace> LastCheckpoint(const Path& checkpoints) {
  const auto all = Checkpoints(checkpoints);
  return all.empty() ? std::nullopt : std::optional(all.back());
}

void PruneCheckpoints(const Path& checkpoints, int64_t keep) {
  auto all = Checkpoints(checkpoints);
  for (size_t i = 0; i + static_cast<size_t>(keep) < all.size(); ++i) RemoveFolder(all[i].folder);
}

void RemoveBrokenCheckpoints(const Path& checkpoints) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(checkpoints, ignored)) return;
  RemoveLeftovers(checkpoints);
  std::vector<Path> broken;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoints, ignored)) {
    if (StepOf(entry.path()) && !std::filesystem::exists(entry.path() / kManifestName, ignored))
      broken.push_back(entry.path());
  }
  for (const Path& path : broken) RemoveFolder(path);
}

}  // namespace retort
