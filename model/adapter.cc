// SPDX-License-Identifier: Apache-2.0
#include "model/adapter.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/random.h"
#include "base/text.h"
#include "formats/safetensors.h"
#include "model/adapter_targets.h"
#include "tensor/quant/finite.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

std::string KeyOf(const std::string& module, const char* factor) {
  return Cat("base_model.model.", module, ".lora_", factor);
}

// The factor's values as an f32 tensor of the expected shape.
Tensor ReadFactor(const TensorTable& table, const std::string& key, int64_t rows, int64_t cols,
                  Backend& backend) {
  const Weight weight = table.Load(key, {rows, cols});
  std::vector<float> values(static_cast<size_t>(rows * cols));
  CheckFinite(weight, table.where(), Quoted(key), 0, backend.pool());
  for (int64_t r = 0; r < rows; ++r) DecodeRow(weight, r, 0, cols, values.data() + r * cols);
  return backend.FromFloats(values, {rows, cols});
}

// What follows "lora_A" in the file's keys: ".weight", or ".NAME.weight" where the trainer's state
// was saved with its adapter's name.
std::string KeyEnd(const TensorTable& table) {
  std::string end;
  for (const TensorEntry& entry : table.entries()) {
    for (const char* factor : {".lora_A.", ".lora_B."}) {
      const size_t at = entry.name.rfind(factor);
      if (at == std::string::npos || !entry.name.ends_with(".weight")) continue;
      const std::string found = entry.name.substr(at + std::string_view(factor).size() - 1);
      if (!end.empty() && found != end) {
        throw InputError(table.where(), ": holds keys that end in '", end, "' and in '", found,
                         "'; keep the tensors of one adapter");
      }
      end = found;
    }
  }
  return end.empty() ? ".weight" : end;
}

float ScaleOf(const AdapterConfig& config, AdapterTargets& targets, const LinearSpec& linear) {
  return static_cast<float>(
      LoraScale(targets.AlphaOf(linear), targets.RankOf(linear), config.rslora));
}

void CheckLayersExist(const AdapterConfig& config, const Layout& layout, const std::string& key) {
  int64_t layers = 0;
  for (const LinearSpec& linear : layout.linears) layers = std::max(layers, linear.layer + 1);
  for (const int64_t layer : config.layers) {
    if (layer < layers) continue;
    throw InputError(key, " names layer ", layer, ", and this model has ", layers,
                     ", numbered from 0");
  }
}

}  // namespace

double LoraScale(double alpha, int64_t rank, bool rslora) {
  return alpha / (rslora ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank));
}

std::unique_ptr<Adapter> Adapter::Make(const AdapterConfig& config, const Layout& layout,
                                       uint64_t seed, Backend& backend) {
  auto out = std::make_unique<Adapter>();
  out->config_ = config;
  out->sites_.resize(layout.linears.size());
  AdapterTargets targets(config);
  targets.CheckAllMatch(layout);
  CheckLayersExist(config, layout, "adapter.layers");
  for (size_t id = 0; id < layout.linears.size(); ++id) {
    const LinearSpec& linear = layout.linears[id];
    if (!targets.Has(linear)) continue;
    const int64_t rank = targets.RankOf(linear);
    RandomStream random(MakeKey(seed, RandomUse::kInit, NameKey(linear.name)));
    std::vector<float> a(static_cast<size_t>(rank * linear.cols));
    const double bound = 1 / std::sqrt(static_cast<double>(linear.cols));
    for (float& v : a) v = static_cast<float>((2 * random.Uniform() - 1) * bound);
    out->sites_[id] = std::unique_ptr<AdapterSite>(
        new AdapterSite{{KeyOf(linear.name, "A"), backend.FromFloats(a, {rank, linear.cols})},
                        {KeyOf(linear.name, "B"), backend.Zeros({linear.rows, rank})},
                        ScaleOf(config, targets, linear)});
  }
  if (out->parameters().empty())
    throw InputError("adapter.exclude leaves none of the layers that adapter.targets names");
  return out;
}

std::unique_ptr<Adapter> Adapter::Load(const Path& folder, const Layout& layout, Backend& backend) {
  auto out = std::make_unique<Adapter>();
  out->config_ = ReadAdapterConfig(folder);
  const AdapterConfig& config = out->config_;
  CheckLayersExist(config, layout,
                   Cat((folder / "adapter_config.json").string(), ": 'layers_to_transform'"));
  const TensorTable table = ReadSafetensors(folder / "adapter_model.safetensors").tensors;
  const std::string end = KeyEnd(table);
  out->sites_.resize(layout.linears.size());
  AdapterTargets targets(config);
  std::set<std::string> used;
  for (size_t id = 0; id < layout.linears.size(); ++id) {
    const LinearSpec& linear = layout.linears[id];
    if (!targets.Has(linear)) continue;
    const int64_t rank = targets.RankOf(linear);
    const std::string a = KeyOf(linear.name, "A"), b = KeyOf(linear.name, "B");
    out->sites_[id] = std::unique_ptr<AdapterSite>(
        new AdapterSite{{a, ReadFactor(table, a + end, rank, linear.cols, backend)},
                        {b, ReadFactor(table, b + end, linear.rows, rank, backend)},
                        ScaleOf(config, targets, linear)});
    used.insert({a + end, b + end});
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
