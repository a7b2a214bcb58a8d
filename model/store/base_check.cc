// SPDX-License-Identifier: Apache-2.0
#include "model/store/base_check.h"

#include <algorithm>

#include "base/error.h"
#include "model/store/base_record.h"
#include "model/store/fingerprint.h"

namespace retort {
namespace {

std::string NamedBase(const std::string& name) {
  return name.empty() ? "it names no base" : Cat("it names '", name, "'");
}

std::string TrainedOn(const Path& adapter, const BaseRecord& record) {
  return Cat(adapter.string(), ": was trained on ", record.path,
             record.weights == "as-is" ? "" : Cat(" in ", record.weights), "; ");
}

Error OtherBase(const Path& adapter, const BaseRecord& record, const ModelFiles& base) {
  return InputError(
      base.path.string(), ": is not the base that ", adapter.string(), " was trained on (",
      record.path,
      "): the weights differ, so the result would be broken; name that base, or train "
      "the adapter on this one");
}

Error OtherArchitecture(const Path& adapter, const ModelFiles& base) {
  return InputError(base.path.string(), ": its weights are those that ", adapter.string(),
                    " was trained on, but its configuration computes something else with them "
                    "(ropes, norms, windows or activations); put the configuration back");
}

std::vector<std::string> NotesOnBase(const Path& adapter, const ModelFiles& base, int threads) {
  const auto record = ReadBaseRecord(adapter);
  if (!record || record->fingerprint.empty()) {
    return {Cat(adapter.string(), ": has no fingerprint of its base (",
                NamedBase(record ? record->path : ReadAdapterConfig(adapter).base_model),
                "), so it is not checked that ", base.path.string(), " is that base")};
  }
  if (HasFingerprint(base, record->fingerprint, threads)) {
    if (MayBeSameArchitecture(record->architecture, ArchitectureHash(base.config))) return {};
    throw OtherArchitecture(adapter, base);
  }
  const std::string source = SourceFingerprint(base);
  const bool on_gguf = !record->source.empty() || Path(record->path).extension() == ".gguf";
  const bool same_source = !on_gguf && source == record->fingerprint;
  if (same_source ||
      (!record->source.empty() && !base.gguf && HasFingerprint(base, record->source, threads))) {
    return {Cat(TrainedOn(adapter, *record), base.path.string(), " holds the same base in ",
                TraitsOf(base.stored_format()).name,
                ", so the results differ from those of the training")};
  }
  if (base.gguf && source.empty() && !on_gguf) {
    return {Cat(TrainedOn(adapter, *record), base.path.string(), " holds ",
                TraitsOf(base.stored_format()).name,
                " and does not say which model it was made from, so it is not checked that this is "
                "the same base")};
  }
  throw OtherBase(adapter, *record, base);
}

}  // namespace

std::vector<std::string> CheckAdapterBase(const Path& adapter, const ModelFiles& base,
                                          int threads) {
  std::vector<std::string> notes = NotesOnBase(adapter, base, threads);
  const AdapterConfig config = ReadAdapterConfig(adapter);
  if (PissaIterations(config.start) > 0) {
    notes.push_back(Cat(adapter.string(), ": ", config.start,
                        " began with random numbers that the folder does not hold, so what it took "
                        "out of the base is known nearly, here as in PEFT; PEFT's "
                        "path_initial_model_for_weight_conversion makes an exact adapter of it"));
  }
  return notes;
}

bool IsZero(const Adapter& adapter, Backend& backend) {
  if (!adapter.is_plain()) return false;
  for (const Parameter* p : adapter.parameters()) {
    if (!p->name.ends_with(".lora_B")) continue;
    const std::vector<float> values = backend.ToFloats(p->value);
    if (std::any_of(values.begin(), values.end(), [](float v) { return v != 0; })) return false;
  }
  return true;
}

std::string ZeroAdapterNote(const Path& adapter) {
  return Cat(adapter.string(),
             ": every B is 0: the adapter has learnt nothing and changes nothing");
}

}  // namespace retort
