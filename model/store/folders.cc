// SPDX-License-Identifier: Apache-2.0
#include "model/store/folders.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numbers>
#include <set>

#include "base/error.h"
#include "formats/safetensors.h"
#include "model/spec/config_writer.h"
#include "model/store/sampling_keys.h"
#include "tensor/quant/quant.h"
#include "tokenizer/load_tokenizer.h"
#include "tokenizer/write_tokenizer.h"

namespace retort {
namespace {

std::vector<int64_t> DimsOf(const Tensor& t) {
  std::vector<int64_t> dims;
  dims.reserve(static_cast<size_t>(t.shape().rank()));
  for (int i = 0; i < t.shape().rank(); ++i) dims.push_back(t.shape()[i]);
  return dims;
}

// The offset of a gain, for which a folder stores value - offset; else 0.
double OffsetOf(const Parameter& p, const Layout& layout) {
  if (p.value.shape().rank() != 1) return 0;
  for (const TensorSpec& spec : layout.tensors) {
    if (spec.name == p.name) return spec.offset;
  }
  return 0;
}

void WriteParameters(const Path& path, const std::vector<const Parameter*>& parameters,
                     const Layout& layout, Backend& backend) {
  SafetensorsWriter writer(path, {{"format", "pt"}});
  for (const Parameter* p : parameters)
    writer.Declare(p->name, WeightFormat::kF32, DimsOf(p->value));
  for (const Parameter* p : parameters) {
    std::vector<float> values = backend.ToFloats(p->value);
    if (const double offset = OffsetOf(*p, layout); offset != 0) {
      for (float& v : values) v = static_cast<float>(v - offset);
    }
    writer.Write(p->name, std::as_bytes(std::span(values)));
  }
  writer.Commit();
}

// The shape of an adapter's tensor in its file.
std::vector<int64_t> StoredDims(const AdapterTensor& t) {
  std::vector<int64_t> dims = DimsOf(t.parameter->value);
  if (t.form == AdapterTensor::Form::kTransposed) std::swap(dims[0], dims[1]);
  if (t.form == AdapterTensor::Form::kAbove) dims[0] *= 2;
  if (t.form == AdapterTensor::Form::kBeside) dims[1] *= 2;
  return dims;
}

std::vector<float> StoredValues(const AdapterTensor& t, Backend& backend) {
  std::vector<float> own = backend.ToFloats(t.parameter->value);
  if (t.form == AdapterTensor::Form::kPlain) {
    for (float& v : own) v = static_cast<float>(v - t.offset);
    return own;
  }
  const auto rows = static_cast<size_t>(t.parameter->value.rows()), cols = own.size() / rows;
  if (t.form == AdapterTensor::Form::kTransposed) {
    std::vector<float> out(own.size());
    for (size_t i = 0; i < own.size(); ++i) out[i % cols * rows + i / cols] = own[i];
    return out;
  }
  const std::vector<float> start = backend.ToFloats(t.start);
  if (t.form == AdapterTensor::Form::kAbove) {
    own.insert(own.end(), start.begin(), start.end());
    return own;
  }
  std::vector<float> out;
  for (size_t r = 0; r < rows; ++r) {
    const auto begin = static_cast<std::ptrdiff_t>(r * cols),
               end = begin + static_cast<std::ptrdiff_t>(cols);
    out.insert(out.end(), own.begin() + begin, own.begin() + end);
    out.insert(out.end(), start.begin() + begin, start.begin() + end);
  }
  return out;
}

// The file's tensor of which these are the parts.
std::vector<float> StoredExperts(const std::vector<const AdapterTensor*>& parts, Backend& backend) {
  const std::vector<int64_t> dims = parts.front()->ShapeOfExperts();
  std::vector<float> out(static_cast<size_t>(dims[0] * dims[1]));
  for (const AdapterTensor* t : parts) {
    const std::vector<float> own = backend.ToFloats(t->parameter->value);
    const int64_t cols = t->shape[1];
    for (int64_t i = 0; i < std::ssize(own); ++i)
      out[static_cast<size_t>(t->PlaceInFile(i / cols, i % cols, dims[1]))] =
          own[static_cast<size_t>(i)];
  }
  return out;
}

void WriteTensors(const Path& path, const std::vector<AdapterTensor>& tensors, Backend& backend) {
  SafetensorsWriter writer(path, {{"format", "pt"}});
  std::map<std::string, std::vector<const AdapterTensor*>> of_experts;  // by key
  for (const AdapterTensor& t : tensors) {
    std::vector<const AdapterTensor*>* parts = t.of_experts() ? &of_experts[t.key] : nullptr;
    if (parts) parts->push_back(&t);
    if (!parts || parts->size() == 1)
      writer.Declare(t.key, WeightFormat::kF32, parts ? t.ShapeOfExperts() : StoredDims(t));
  }
  for (const AdapterTensor& t : tensors) {
    if (t.of_experts()) continue;
    const std::vector<float> values = StoredValues(t, backend);
    writer.Write(t.key, std::as_bytes(std::span(values)));
  }
  for (const auto& [key, parts] : of_experts) {
    const std::vector<float> values = StoredExperts(parts, backend);
    writer.Write(key, std::as_bytes(std::span(values)));
  }
  writer.Commit();
}

std::string LastPart(const LinearSpec& linear) { return Split(linear.name, '.').back(); }

// Whether the layer is adapted as a module, and not as a part of a tensor that is named.
bool AdaptsModule(const Adapter& adapter, size_t id) {
  const AdapterSite* site = adapter.at(static_cast<LinearId>(id));
  return site && !site->of_parameter;
}

// The last part of every adapted module's name: PEFT's target_modules.
std::set<std::string> TargetModules(const Adapter& adapter, const Layout& layout) {
  std::set<std::string> names;
  for (size_t id = 0; id < layout.linears.size(); ++id) {
    if (AdaptsModule(adapter, id)) names.insert(LastPart(layout.linears[id]));
  }
  return names;
}

// Whether target_modules can list last parts of names: every layer with such a name, among those
// that layers_to_transform lists, is adapted.
bool IsUniform(const Adapter& adapter, const Layout& layout, const std::set<std::string>& names) {
  const std::vector<int64_t>& layers = adapter.config().layers;
  for (size_t id = 0; id < layout.linears.size(); ++id) {
    const LinearSpec& linear = layout.linears[id];
    if (!layers.empty() && !std::ranges::count(layers, linear.layer)) continue;
    if (linear.use != LinearUse::kRouter && names.contains(LastPart(linear)) &&
        !AdaptsModule(adapter, id) && !adapter.at(static_cast<LinearId>(id)))
      return false;
  }
  return true;
}

// Rank and alpha, with the patterns, of a plain adapter that also holds what was taken out of the
// base: twice the rank at the same scale.
struct Sizes {
  int64_t rank;
  double alpha;
  std::map<std::string, int64_t> ranks;
  std::map<std::string, double> alphas;
};

Sizes SizesOf(const AdapterConfig& c) {
  Sizes out{c.rank, c.alpha, c.ranks, c.alphas};
  if (!TakesPartOfBase(c.start)) return out;
  const double more = c.rslora ? std::numbers::sqrt2 : 2;
  out.rank *= 2, out.alpha *= more;
  for (auto& [_, rank] : out.ranks) rank *= 2;
  for (auto& [_, alpha] : out.alphas) alpha *= more;
  return out;
}

Json TokensJson(const std::map<std::string, std::vector<int64_t>>& tokens) {
  if (tokens.empty()) return nullptr;
  return tokens.contains("") ? Json(tokens.at("")) : Json(tokens);
}

Json PeftConfig(const Adapter& adapter, const Layout& layout) {
  const AdapterConfig& c = adapter.config();
  const Sizes sizes = SizesOf(c);
  const std::set<std::string> names = TargetModules(adapter, layout);
  Json j = {{"alpha_pattern", sizes.alphas},
            {"base_model_name_or_path", c.base_model},
            {"bias", c.bias},
            {"exclude_modules", nullptr},
            {"fan_in_fan_out", false},
            {"inference_mode", true},
            {"init_lora_weights", true},
            {"layers_pattern", nullptr},
            {"layers_to_transform", nullptr},
            {"lora_alpha", sizes.alpha},
            {"lora_bias", c.lora_bias},
            {"lora_dropout", c.dropout},
            {"modules_to_save", c.saved_modules.empty() ? Json() : Json(c.saved_modules)},
            {"peft_type", "LORA"},
            {"r", sizes.rank},
            {"rank_pattern", sizes.ranks},
            {"target_modules", names},
            {"task_type", "CAUSAL_LM"},
            {"trainable_token_indices", TokensJson(c.tokens)},
            {"use_dora", c.dora},
            {"use_rslora", c.rslora}};
  if (!c.parameters.empty()) j["target_parameters"] = c.parameters;
  if (names.empty()) j["target_modules"] = nullptr;
  if (!c.layers.empty()) j["layers_to_transform"] = c.layers;
  if (!IsUniform(adapter, layout, names) || (!c.layers.empty() && !c.targets.empty())) {
    j["target_modules"] = c.targets.empty() ? Json(c.target_pattern) : Json(c.targets);
    // PEFT has no numbers of layers beside all-linear.
    if (c.targets.empty() && !c.layers.empty()) j["target_modules"] = names;
    if (!c.exclude.empty()) j["exclude_modules"] = c.exclude;
    if (!c.exclude_pattern.empty()) j["exclude_modules"] = c.exclude_pattern;
  }
  return j;
}

}  // namespace

void WriteAdapterFiles(const Path& folder, const Adapter& adapter, const Layout& layout,
                       Backend& backend) {
  WriteTensors(folder / "adapter_model.safetensors", adapter.tensors(), backend);
  WriteTextAtomically(folder / "adapter_config.json",
                      DumpJson(PeftConfig(adapter, layout), 2) + "\n");
}

void WriteTrainedModelFiles(const Path& folder, const Model& model, const Path& source) {
  std::vector<const Parameter*> parameters;
  for (const auto& p : model.parameters) parameters.push_back(p.get());
  WriteParameters(folder / "model.safetensors", parameters, model.layout, model.backend);
  if (std::filesystem::is_directory(source)) return CopyModelFiles(source, folder, "float32");
  WriteModelFiles(OpenModel(source), folder, "float32");
}

void CopyModelFiles(const Path& source, const Path& folder, const std::string& torch_dtype) {
  Json config = ReadJson(source / "config.json");
  config.erase("quantization_config");  // what is written beside it is not quantised
  if (!torch_dtype.empty()) config["torch_dtype"] = torch_dtype;
  WriteTextAtomically(folder / "config.json", DumpJson(config, 2) + "\n");
  if (std::filesystem::exists(source / "generation_config.json")) {
    CopyFileAtomically(source / "generation_config.json", folder / "generation_config.json");
  }
  CopyTokenizerFiles(source, folder);
}

std::vector<std::string> WriteModelFiles(const ModelFiles& source, const Path& folder,
                                         const std::string& torch_dtype) {
  if (!source.gguf) {
    CopyModelFiles(source.path, folder, torch_dtype);
    return {};
  }
  const std::string where = source.path.string();
  const TokenizerSpec spec = SpecFromGguf(source.gguf->metadata, where);
  Architecture config = source.config;
  const std::vector<int32_t> ends = config.ends;
  if (spec.eos >= 0) config.ends = {spec.eos};
  Json j = ConfigJson(config, torch_dtype, where);
  const Json pad = spec.pad >= 0 && spec.pad < config.vocab ? Json(spec.pad) : Json();
  j["pad_token_id"] = pad;
  WriteTextAtomically(folder / "config.json", DumpJson(j, 2) + "\n");
  Json generation = {{"bos_token_id", j["bos_token_id"]}, {"pad_token_id", pad}};
  if (!ends.empty()) generation["eos_token_id"] = ends;
  SamplingFromGguf(source.gguf->metadata, generation);
  WriteTextAtomically(folder / "generation_config.json", DumpJson(generation, 2) + "\n");
  return WriteTokenizerFiles(spec, config.max_positions, folder, where);
}

void CopyTokenizerFiles(const Path& source, const Path& folder) {
  for (const char* name : {"tokenizer.json", "tekken.json", "tokenizer.model",
                           "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
                           "chat_template.jinja", "vocab.json", "merges.txt"}) {
    if (std::filesystem::exists(source / name)) CopyFileAtomically(source / name, folder / name);
  }
}

void ReadParameters(const Path& safetensors, const std::vector<Parameter*>& parameters,
                    const Layout& layout, Backend& backend) {
  const TensorTable table = ReadSafetensors(safetensors).tensors;
  for (Parameter* p : parameters) {
    const Weight w = table.Load(p->name, DimsOf(p->value));
    std::vector<float> values(static_cast<size_t>(p->value.elements()));
    for (int64_t r = 0; r < w.rows(); ++r)
      DecodeRow(w, r, 0, w.cols(), values.data() + r * w.cols());
    if (const double offset = OffsetOf(*p, layout); offset != 0) {
      for (float& v : values) v = static_cast<float>(v + offset);
    }
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

}  // namespace retort
