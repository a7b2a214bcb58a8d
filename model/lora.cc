// SPDX-License-Identifier: Apache-2.0
#include "model/lora.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>

#include "base/random.h"
#include "formats/safetensors.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

bool EndsAtDot(const std::string& module, const std::vector<std::string>& suffixes) {
  return std::any_of(suffixes.begin(), suffixes.end(), [&](const std::string& s) {
    return module == s || module.ends_with("." + s);
  });
}

bool MatchesWhole(const std::string& module, const std::string& pattern) {
  try {
    return std::regex_match(module, std::regex(pattern));
  } catch (const std::regex_error& e) {
    throw InputError("adapter: '", pattern, "' is no regular expression: ", e.what());
  }
}

std::string KeyOf(const std::string& module, const char* factor) {
  return Cat("base_model.model.", module, ".lora_", factor);
}

// PEFT's settings that would change the arithmetic and that this loader does not know.
void RefuseUnsupported(const Json& j, const std::string& where) {
  if (const std::string kind = GetString(j, "peft_type", where, "LORA"); kind != "LORA") {
    throw InputError(where, ": peft_type '", kind, "' is not supported; supported: LORA");
  }
  if (GetBool(j, "use_dora", where, false))
    throw InputError(where, ": 'use_dora' is not supported");
  if (GetBool(j, "fan_in_fan_out", where, false))
    throw InputError(where, ": 'fan_in_fan_out' is not supported");
  if (const std::string bias = GetString(j, "bias", where, "none"); bias != "none") {
    throw InputError(where, ": bias '", bias, "' is not supported; supported: none");
  }
  for (const char* key : {"rank_pattern", "alpha_pattern", "modules_to_save"}) {
    const auto it = j.find(key);
    if (it != j.end() && !it->is_null() && !it->empty())
      throw InputError(where, ": '", key, "' is not supported");
  }
}

std::vector<std::string> StringsOf(const Json& j, const char* key, const std::string& where) {
  std::vector<std::string> out;
  const auto it = j.find(key);
  if (it == j.end() || !it->is_array()) return out;
  for (const Json& s : *it) {
    if (!s.is_string()) throw InputError(where, ": '", key, "' must be a list of strings");
    out.push_back(s.get<std::string>());
  }
  return out;
}

// The factor's values as an f32 tensor of the expected shape.
Tensor ReadFactor(const TensorTable& table, const std::string& key, int64_t rows, int64_t cols,
                  Backend& backend) {
  const Weight weight = table.Fetch(key + ".weight", {rows, cols});
  std::vector<float> values(static_cast<size_t>(rows * cols));
  for (int64_t r = 0; r < rows; ++r) DecodeRow(weight, r, 0, cols, values.data() + r * cols);
  return backend.FromFloats(values, {rows, cols});
}

}  // namespace

double LoraScale(double alpha, int64_t rank, bool rslora) {
  return alpha / (rslora ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank));
}

bool Targets(const AdapterConfig& config, const std::string& module) {
  if (EndsAtDot(module, config.exclude)) return false;
  if (!config.exclude_pattern.empty() && MatchesWhole(module, config.exclude_pattern)) return false;
  if (!config.targets.empty()) return EndsAtDot(module, config.targets);
  return config.target_pattern == "all-linear" || MatchesWhole(module, config.target_pattern);
}

std::unique_ptr<Adapter> Adapter::Make(const AdapterConfig& config, const ModelConfig& model,
                                       uint64_t seed, Backend& backend) {
  auto out = std::make_unique<Adapter>();
  out->config_ = config;
  out->pairs_.resize(static_cast<size_t>(model.layers));
  const auto scale = static_cast<float>(LoraScale(config.alpha, config.rank, config.rslora));
  int64_t made = 0;
  for (int64_t layer = 0; layer < model.layers; ++layer) {
    for (Slot slot : kAllSlots) {
      const std::string module = ModuleName(layer, slot);
      if (!Targets(config, module)) continue;
      const auto [rows, cols] = ShapeOf(model, slot);
      const auto place = static_cast<uint64_t>(layer * kSlots + static_cast<int64_t>(slot));
      RandomStream random(MakeKey(seed, RandomUse::kInit, place));
      std::vector<float> a(static_cast<size_t>(config.rank * cols));
      const double bound = 1 / std::sqrt(static_cast<double>(cols));
      for (float& v : a) v = static_cast<float>((2 * random.Uniform() - 1) * bound);
      out->pairs_[static_cast<size_t>(layer)][static_cast<size_t>(slot)] = std::unique_ptr<Pair>(
          new Pair{{KeyOf(module, "A"), backend.FromFloats(a, {config.rank, cols})},
                   {KeyOf(module, "B"), backend.Zeros({rows, config.rank})},
                   scale});
      ++made;
    }
  }
  if (made == 0) {
    throw InputError("adapter.targets matches no linear layer; layers are named like '",
                     ModuleName(0, Slot::kQ), "'");
  }
  return out;
}

AdapterConfig ReadAdapterConfig(const Path& folder) {
  const Path path = folder / "adapter_config.json";
  const std::string where = path.string();
  const Json j = ReadJson(path);
  RefuseUnsupported(j, where);
  AdapterConfig c;
  c.rank = GetInt(j, "r", where);
  if (c.rank < 1 || c.rank > 65536)
    throw InputError(where, ": 'r' is ", c.rank, "; must be in 1 ... 65536");
  c.alpha = GetNumber(j, "lora_alpha", where);
  c.dropout = GetNumber(j, "lora_dropout", where, 0);
  c.rslora = GetBool(j, "use_rslora", where, false);
  c.base_model = GetString(j, "base_model_name_or_path", where, "");
  c.exclude = StringsOf(j, "exclude_modules", where);
  if (const auto it = j.find("exclude_modules"); it != j.end() && it->is_string())
    c.exclude_pattern = it->get<std::string>();
  c.targets = StringsOf(j, "target_modules", where);
  if (c.targets.empty()) c.target_pattern = GetString(j, "target_modules", where, "all-linear");
  return c;
}

std::unique_ptr<Adapter> Adapter::Load(const Path& folder, const ModelConfig& model,
                                       Backend& backend) {
  auto out = std::make_unique<Adapter>();
  out->config_ = ReadAdapterConfig(folder);
  const AdapterConfig& config = out->config_;
  const TensorTable table = ReadSafetensors(folder / "adapter_model.safetensors").tensors;
  out->pairs_.resize(static_cast<size_t>(model.layers));
  const auto scale = static_cast<float>(LoraScale(config.alpha, config.rank, config.rslora));
  size_t used = 0;
  for (int64_t layer = 0; layer < model.layers; ++layer) {
    for (Slot slot : kAllSlots) {
      const std::string module = ModuleName(layer, slot);
      if (!Targets(config, module)) continue;
      const auto [rows, cols] = ShapeOf(model, slot);
      const std::string a = KeyOf(module, "A"), b = KeyOf(module, "B");
      out->pairs_[static_cast<size_t>(layer)][static_cast<size_t>(slot)] =
          std::unique_ptr<Pair>(new Pair{{a, ReadFactor(table, a, config.rank, cols, backend)},
                                         {b, ReadFactor(table, b, rows, config.rank, backend)},
                                         scale});
      used += 2;
    }
  }
  for (const TensorEntry& entry : table.entries()) {
    if (used == table.entries().size()) break;
    const bool ours =
        std::any_of(out->pairs_.begin(), out->pairs_.end(), [&](const LayerPairs& pairs) {
          return std::any_of(pairs.begin(), pairs.end(), [&](const auto& p) {
            return p &&
                   (entry.name == p->a.name + ".weight" || entry.name == p->b.name + ".weight");
          });
        });
    if (!ours)
      throw InputError(table.where(), ": tensor '", entry.name,
                       "' belongs to no layer of this model");
  }
  return out;
}

std::vector<Parameter*> Adapter::parameters() const {
  std::vector<Parameter*> out;
  for (const LayerPairs& pairs : pairs_) {
    for (const auto& pair : pairs) {
      if (!pair) continue;
      out.push_back(&pair->a);
      out.push_back(&pair->b);
    }
  }
  return out;
}

}  // namespace retort
