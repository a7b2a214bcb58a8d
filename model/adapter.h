// SPDX-License-Identifier: Apache-2.0
// Low-rank adapters (LoRA, arXiv 2106.09685) of a model's linear layers, in PEFT's terms.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "autograd/ops.h"
#include "model/adapter_config.h"
#include "model/layout.h"

namespace retort {

// s in W + s B A: alpha / rank, or alpha / sqrt(rank) with rsLoRA.
double LoraScale(double alpha, int64_t rank, bool rslora);

// The adapter of one linear layer.
struct AdapterSite {
  Parameter a, b;  // [R,in], [out,R]
  float scale;
};

class Adapter {
 public:
  // A new adapter: A uniform in +-1/sqrt(in), B zero, so that its initial output is zero. A layer's
  // values depend only on the seed and the layer's name. Throws Error{kInput} naming a target or an
  // exclusion that matches no module (AdapterTargets), or if no module is left.
  static std::unique_ptr<Adapter> Make(const AdapterConfig& config, const Layout& layout,
                                       uint64_t seed, Backend& backend);
  // Loads a folder in PEFT's layout; the keys may hold the adapter's name. Throws Error{kInput}
  // naming a tensor that is missing, extra or of the wrong shape, or a setting that is not
  // supported (ReadAdapterConfig).
  static std::unique_ptr<Adapter> Load(const Path& folder, const Layout& layout, Backend& backend);

  const AdapterConfig& config() const { return config_; }
  AdapterConfig& config() { return config_; }
  // Null if the layer has no adapter.
  AdapterSite* at(LinearId id) const { return sites_[static_cast<size_t>(id)].get(); }
  // In a fixed order. Names are PEFT's keys without ".weight", for example
  // "base_model.model.model.layers.0.self_attn.q_proj.lora_A".
  std::vector<Parameter*> parameters() const;

 private:
  AdapterConfig config_;
  std::vector<std::unique_ptr<AdapterSite>> sites_;  // by LinearId
};

}  // namespace retort
