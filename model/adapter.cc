// SPDX-License-Identifier: Apache-2.0
#include "model/adapter.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "base/random.h"
#include "formats/safetensors.h"
#include "tensor/quant/finite.h"
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

// Settings of PEFT (LoraConfig of 0.21) that change the arithmetic and are not supported here, with
// a description of each.
struct Setting {
  const char *key, *what;
};
constexpr Setting kUnsupported[] = {
    {"target_parameters", "LoRA on parameters, such as a layer's stacked experts"},
    {"rank_pattern", "other ranks for some layers"},
    {"alpha_pattern", "other alphas for some layers"},
    {"layers_to_transform", "some layers alone"},
    {"layer_replication", "layers repeated"},
    {"modules_to_save", "modules trained whole"},
    {"trainable_token_indices", "trained embeddings of single tokens"},
    {"use_dora", "DoRA"},
    {"lora_bias", "a bias beside B"},
    {"fan_in_fan_out", "transposed weights"},
    {"alora_invocation_tokens", "activated LoRA"},
    {"use_qalora", "QALoRA"},
    {"use_bdlora", "block-diagonal LoRA"},
    {"arrow_config", "arrow routing"},
    {"kasa_config", "KaSA"},
    {"monteclora_config", "MonteCLoRA"},
};

// Ends the error for an unsupported adapter.
constexpr const char* kMend =
    "; only plain LoRA of one rank and alpha on 'target_modules' is supported: merge this adapter into its base with PEFT "
    "(merge_and_unload, save_pretrained) and use that folder";

// Null, false and empty values count as not set.
bool IsSet(const Json& value) {
  return !value.is_null() && value != Json(false) && !(value.is_structured() && value.empty());
}

// A pattern that repeats the general rank or alpha for every layer.
bool RepeatsTheUsual(const Json& j, const std::string& key, const Json& value) {
  const auto usual = j.find(key == "rank_pattern" ? "r" : "lora_alpha");
  return key.ends_with("_pattern") && value.is_object() && usual != j.end() &&
         std::all_of(value.begin(), value.end(), [&](const Json& one) { return one == *usual; });
}

// Rejects initialisations that modify the base: PEFT modifies it again on loading, so the folder's
// weights are not the ones the adapter was trained on.
void RefuseChangedBase(const Json& j, const std::string& where) {
  const auto init = j.find("init_lora_weights");
  if (init == j.end() || !init->is_string()) return;
  const std::string name = init->get<std::string>();
  for (const char* harmless : {"gaussian", "eva", "orthogonal", "mica"}) {
    if (name == harmless) return;
  }
  throw InputError(
      where, ": init_lora_weights '", name,
      "' is not supported: it changes the base's weights too; save the adapter with PEFT's "
      "path_initial_model_for_weight_conversion, which makes a plain LoRA of it");
}

void RefuseUnsupported(const Json& j, const std::string& where) {
  if (const std::string kind = GetString(j, "peft_type", where, "LORA"); kind != "LORA") {
    throw InputError(where, ": peft_type '", kind, "' is not supported; supported: LORA");
  }
  if (const std::string bias = GetString(j, "bias", where, "none"); bias != "none")
    throw InputError(where, ": bias '", bias, "' is not supported", kMend);
  for (const auto& [key, what] : kUnsupported) {
    const auto it = j.find(key);
    if (it != j.end() && IsSet(*it) && !RepeatsTheUsual(j, key, *it))
      throw InputError(where, ": '", key, "' (", what, ") is not supported", kMend);
  }
  RefuseChangedBase(j, where);
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
  const Weight weight = table.Load(key + ".weight", {rows, cols});
  std::vector<float> values(static_cast<size_t>(rows * cols));
  CheckFinite(weight, table.where(), Quoted(key + ".weight"), 0, backend.pool());
  for (int64_t r = 0; r < rows; ++r) DecodeRow(weight, r, 0, cols, values.data() + r * cols);
  return backend.FromFloats(values, {rows, cols});
}

}  // namespace

double LoraScale(double alpha, int64_t rank, bool rslora) {
  return alpha / (rslora ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank));
}

bool Targets(const AdapterConfig& config, const LinearSpec& linear) {
  if (!linear.adaptable()) return false;
  if (EndsAtDot(linear.name, config.exclude)) return false;
  if (!config.exclude_pattern.empty() && MatchesWhole(linear.name, config.exclude_pattern))
    return false;
  if (!config.targets.empty()) return EndsAtDot(linear.name, config.targets);
  if (config.target_pattern == "all-linear") return linear.expert < 0;
  return MatchesWhole(linear.name, config.target_pattern);
}

std::unique_ptr<Adapter> Adapter::Make(const AdapterConfig& config, const Layout& layout,
                                       uint64_t seed, Backend& backend) {
  auto out = std::make_unique<Adapter>();
  out->config_ = config;
  out->sites_.resize(layout.linears.size());
  const auto scale = static_cast<float>(LoraScale(config.alpha, config.rank, config.rslora));
  const std::string* example = nullptr;
  for (size_t id = 0; id < layout.linears.size(); ++id) {
    const LinearSpec& linear = layout.linears[id];
    if (!example && linear.adaptable()) example = &linear.name;
    if (!Targets(config, linear)) continue;
    RandomStream random(MakeKey(seed, RandomUse::kInit, NameKey(linear.name)));
    std::vector<float> a(static_cast<size_t>(config.rank * linear.cols));
    const double bound = 1 / std::sqrt(static_cast<double>(linear.cols));
    for (float& v : a) v = static_cast<float>((2 * random.Uniform() - 1) * bound);
    out->sites_[id] = std::unique_ptr<AdapterSite>(new AdapterSite{
        {KeyOf(linear.name, "A"), backend.FromFloats(a, {config.rank, linear.cols})},
        {KeyOf(linear.name, "B"), backend.Zeros({linear.rows, config.rank})},
        scale});
  }
  if (out->parameters().empty()) {
    throw InputError("adapter.targets matches no linear layer; layers are named like '",
                     example ? *example : "", "'");
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

std::unique_ptr<Adapter> Adapter::Load(const Path& folder, const Layout& layout, Backend& backend) {
  auto out = std::make_unique<Adapter>();
  out->config_ = ReadAdapterConfig(folder);
  const AdapterConfig& config = out->config_;
  const TensorTable table = ReadSafetensors(folder / "adapter_model.safetensors").tensors;
  out->sites_.resize(layout.linears.size());
  const auto scale = static_cast<float>(LoraScale(config.alpha, config.rank, config.rslora));
  std::set<std::string> used;
  for (size_t id = 0; id < layout.linears.size(); ++id) {
    const LinearSpec& linear = layout.linears[id];
    if (!Targets(config, linear)) continue;
    const std::string a = KeyOf(linear.name, "A"), b = KeyOf(linear.name, "B");
    out->sites_[id] = std::unique_ptr<AdapterSite>(
        new AdapterSite{{a, ReadFactor(table, a, config.rank, linear.cols, backend)},
                        {b, ReadFactor(table, b, linear.rows, config.rank, backend)},
                        scale});
    used.insert({a + ".weight", b + ".weight"});
  }
  for (const TensorEntry& entry : table.entries()) {
    if (!used.contains(entry.name))
      throw InputError(table.where(), ": tensor '", entry.name,
                       "' belongs to no layer of this model");
  }
  return out;
}

std::vector<Parameter*> Adapter::parameters() const {
  std::vector<Parameter*> out;
  for (const auto& site : sites_) {
    if (site) out.push_back(&site->a), out.push_back(&site->b);
  }
  return out;
}

}  // namespace retort
