// SPDX-License-Identifier: Apache-2.0
// Low-rank adapters (LoRA, arXiv 2106.09685) beside a model's linear layers, in PEFT's terms.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autograd/ops.h"
#include "model/spec/tensors.h"

namespace retort {

struct AdapterConfig {
  int64_t rank = 16;
  double alpha = 32;
  double dropout = 0;   // on the adapter's input, training only
  bool rslora = false;  // scale alpha / sqrt(rank) (arXiv 2312.03732)
  // Which modules: "all-linear" (every linear layer but the head) or a regular expression matched
  // whole in `target_pattern`; else suffixes in `targets` ("q_proj", or a longer dotted end).
  std::string target_pattern = "all-linear";
  std::vector<std::string> targets;
  std::vector<std::string> exclude;  // suffixes taken out again
  std::string exclude_pattern;       // or a regular expression matched whole; "": none
  std::string base_model;            // as the adapter's file names it
};

// s in W + s B A: alpha / rank, or alpha / sqrt(rank) with rsLoRA.
double LoraScale(double alpha, int64_t rank, bool rslora);

// Whether the configuration puts an adapter on this module ("model.layers.0.mlp.up_proj").
bool Targets(const AdapterConfig& config, const std::string& module);

class Adapter {
 public:
  struct Pair {
    Parameter a, b;  // [R,in], [out,R]
    float scale;
  };

  // A fresh one: A uniform in +-1/sqrt(in), B zero, so that it changes nothing at first. Throws
  // Error{kInput} when no module is targeted.
  static std::unique_ptr<Adapter> Make(const AdapterConfig& config, const ModelConfig& model,
                                       uint64_t seed, Backend& backend);
  // From a folder in PEFT's layout. Throws Error{kInput} naming a tensor that is missing, extra, of
  // the wrong shape, or a setting that is not supported (DoRA, trained biases, saved modules).
  static std::unique_ptr<Adapter> Load(const Path& folder, const ModelConfig& model,
                                       Backend& backend);

  const AdapterConfig& config() const { return config_; }
  AdapterConfig& config() { return config_; }
  Pair* at(int64_t layer, Slot slot) const {
    return pairs_[static_cast<size_t>(layer)][static_cast<size_t>(slot)].get();
  }
  int64_t layers() const { return static_cast<int64_t>(pairs_.size()); }
  // In a fixed order; names are PEFT's keys without ".weight":
  // "base_model.model.model.layers.0.self_attn.q_proj.lora_A".
  std::vector<Parameter*> parameters() const;

 private:
  using LayerPairs = std::array<std::unique_ptr<Pair>, kSlots>;
  AdapterConfig config_;
  std::vector<LayerPairs> pairs_;
};

// adapter_config.json's settings. Throws Error{kInput} naming the file.
AdapterConfig ReadAdapterConfig(const Path& folder);

}  // namespace retort
