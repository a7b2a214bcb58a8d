// SPDX-License-Identifier: Apache-2.0
// What an adapter is made of and which modules get one, in PEFT's terms.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "model/layout.h"

namespace retort {

struct AdapterConfig {
  int64_t rank = 16;
  double alpha = 32;
  double dropout = 0;   // on the adapter's input, training only
  bool rslora = false;  // scale alpha / sqrt(rank) (arXiv 2312.03732)
  // The modules that get an adapter: if `targets` is not empty, those whose name ends in one of its
  // suffixes ("q_proj", or a longer dotted suffix). Otherwise target_pattern decides: "all-linear"
  // (every linear layer of the blocks except routers and, as in PEFT, experts) or a regular
  // expression, as Python's, that must match the whole name.
  std::string target_pattern = "all-linear";
  std::vector<std::string> targets;
  std::vector<std::string> exclude;  // suffixes of excluded modules
  std::string exclude_pattern;       // or a regular expression for the whole name; "": none
  std::vector<int64_t> layers;       // the only layers with an adapter; empty: all
  // Other ranks and alphas of some modules. A key is an expression that must match a module's name
  // or what follows one of its dots; the first in the order of the keys counts, which is that of
  // PEFT's files.
  std::map<std::string, int64_t> ranks;
  std::map<std::string, double> alphas;
  std::string base_model;  // as the adapter's file names it
};

// Whether the configuration targets this layer. For many layers, see adapter_targets.h.
bool Targets(const AdapterConfig& config, const LinearSpec& linear);

// Reads adapter_config.json (model/adapter_config.cc). Every key is known: it is read, or it does
// not change what a trained adapter computes, or it has the value that leaves LoRA plain. Throws
// Error{kInput} naming the file and any other key: LoRA on parameters, ranks or alphas that differ
// between layers, DoRA, saved modules, initialisations that change the base, keys of later
// versions.
AdapterConfig ReadAdapterConfig(const Path& folder);

}  // namespace retort
