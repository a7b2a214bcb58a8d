// SPDX-License-Identifier: Apache-2.0
#include "model/store/folders.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "formats/safetensors.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

constexpr size_t kFingerprintBytes = 4096;  // of each tensor

std::vector<int64_t> DimsOf(const Tensor& t) {
  std::vector<int64_t> dims;
  for (int i = 0; i < t.shape().rank(); ++i) dims.push_back(t.shape()[i]);
  return dims;
}

// PEFT's keys end in ".weight", a model's names are whole.
std::string KeyOf(const Parameter& p) {
  return p.name.starts_with("base_model.") ? p.name + ".weight" : p.name;
}

void WriteParameters(const Path& path, const std::vector<const Parameter*>& parameters,
                     Backend& backend) {
  SafetensorsWriter writer(path, {{"format", "pt"}});
  for (const Parameter* p : parameters)
    writer.Declare(KeyOf(*p), WeightFormat::kF32, DimsOf(p->value));
  for (const Parameter* p : parameters) {
    const std::vector<float> values = backend.ToFloats(p->value);
    writer.Write(KeyOf(*p), std::as_bytes(std::span(values)));
  }
  writer.Commit();
}

// The last part of every adapted module's name: PEFT's target_modules.
std::vector<std::string> TargetModules(const Adapter& adapter) {
  std::set<std::string> names;
  for (int64_t layer = 0; layer < adapter.layers(); ++layer) {
    for (Slot slot : kAllSlots) {
      if (adapter.at(layer, slot)) names.insert(Split(ModuleName(layer, slot), '.').back());
    }
  }
  return {names.begin(), names.end()};
}

// A list of last parts says the same only if each of them is adapted in every layer.
bool IsUniform(const Adapter& adapter) {
  return std::all_of(std::begin(kAllSlots), std::end(kAllSlots), [&](Slot slot) {
    for (int64_t layer = 1; layer < adapter.layers(); ++layer) {
      if (!adapter.at(layer, slot) != !adapter.at(0, slot)) return false;
    }
    return true;
  });
}

Json PeftConfig(const Adapter& adapter) {
  const AdapterConfig& c = adapter.config();
  Json j = {{"alpha_pattern", Json::object()},
            {"base_model_name_or_path", c.base_model},
            {"bias", "none"},
            {"exclude_modules", nullptr},
            {"fan_in_fan_out", false},
            {"inference_mode", true},
            {"init_lora_weights", true},
            {"layers_pattern", nullptr},
            {"layers_to_transform", nullptr},
            {"lora_alpha", c.alpha},
            {"lora_dropout", c.dropout},
            {"modules_to_save", nullptr},
            {"peft_type", "LORA"},
            {"r", c.rank},
            {"rank_pattern", Json::object()},
            {"target_modules", TargetModules(adapter)},
            {"task_type", "CAUSAL_LM"},
            {"use_dora", false},
            {"use_rslora", c.rslora}};
  if (!IsUniform(adapter)) {
    j["target_modules"] = c.targets.empty() ? Json(c.target_pattern) : Json(c.targets);
    if (!c.exclude.empty()) j["exclude_modules"] = c.exclude;
    if (!c.exclude_pattern.empty()) j["exclude_modules"] = c.exclude_pattern;
  }
  return j;
}

}  // namespace

void WriteAdapterFiles(const Path& folder, const Adapter& adapter, Backend& backend) {
  std::vector<const Parameter*> parameters;
  for (const Parameter* p : adapter.parameters()) parameters.push_back(p);
  WriteParameters(folder / "adapter_model.safetensors", parameters, backend);
  WriteTextAtomically(folder / "adapter_config.json", DumpJson(PeftConfig(adapter), 2) + "\n");
}

void WriteTrainedModelFiles(const Path& folder, const Model& model, const Path& source) {
  std::vector<const Parameter*> parameters;
  for (const auto& p : model.parameters) parameters.push_back(p.get());
  WriteParameters(folder / "model.safetensors", parameters, model.backend);
  CopyModelFiles(source, folder, "float32");
}

void CopyModelFiles(const Path& source, const Path& folder, const std::string& torch_dtype) {
  Json config = ReadJson(source / "config.json");
  if (!torch_dtype.empty()) config["torch_dtype"] = torch_dtype;
  WriteTextAtomically(folder / "config.json", DumpJson(config, 2) + "\n");
  if (std::filesystem::exists(source / "generation_config.json")) {
    CopyFileAtomically(source / "generation_config.json", folder / "generation_config.json");
  }
  CopyTokenizerFiles(source, folder);
}

void CopyTokenizerFiles(const Path& source, const Path& folder) {
  for (const char* name :
       {"tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "chat_template.jinja", "vocab.json", "merges.txt"}) {
    if (std::filesystem::exists(source / name)) CopyFileAtomically(source / name, folder / name);
  }
}

void ReadParameters(const Path& safetensors, const std::vector<Parameter*>& parameters,
                    Backend& backend) {
  const TensorTable table = ReadSafetensors(safetensors).tensors;
  for (Parameter* p : parameters) {
    const Weight w = table.Fetch(KeyOf(*p), DimsOf(p->value));
    std::vector<float> values(static_cast<size_t>(p->value.elements()));
    for (int64_t r = 0; r < w.rows(); ++r)
      DecodeRow(w, r, 0, w.cols(), values.data() + r * w.cols());
    // In place: the model's Vars share the parameter's storage.
    backend.Fill(p->value, 0);
    backend.Accumulate(backend.FromFloats(values, p->value.shape()), p->value);
  }
}

std::vector<Path> TensorFiles(const ModelFiles& files) {
  std::vector<Path> out;
  for (const TensorEntry& entry : files.tensors.entries()) {
    if (std::find(out.begin(), out.end(), entry.file->path()) == out.end())
      out.push_back(entry.file->path());
  }
  return out;
}

std::string Fingerprint(const ModelFiles& files) {
  std::string text;
  for (const TensorEntry& entry : files.tensors.entries()) {
    text += Cat(entry.name, " ", ShapeText(entry.shape), " ", entry.type_name(), " ",
                Sha256(entry.bytes.first(std::min(entry.bytes.size(), kFingerprintBytes))), "\n");
  }
  return Sha256(text);
}

}  // namespace retort
