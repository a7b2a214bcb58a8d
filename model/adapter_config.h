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
  bool dora = false;       // a trained magnitude for each row (arXiv 2402.09353)
  bool lora_bias = false;  // a bias beside B
  // Which of the base's biases are trained: none, all, or lora_only (of layers with an adapter).
  std::string bias = "none";
  // Modules trained whole, by the ends of their names (modules_to_save).
  std::vector<std::string> saved_modules;
  // Rows trained by themselves, by the ends of the names of the embedding and the head; "": the
  // embedding (trainable_token_indices).
  std::map<std::string, std::vector<int64_t>> tokens;
  // Tensors of stacked experts that have an adapter for each expert, and of routers, by the ends of
  // their names (target_parameters).
  std::vector<std::string> parameters;
  // How A and B begin: "kaiming" (A uniform, B zero), "gaussian", or with a part of W, which is
  // taken out of it: "pissa" (arXiv 2404.02948), "pissa_niter_N", "olora" (arXiv 2406.01775).
  std::string start = "kaiming";
  std::string base_model;  // as the adapter's file names it
};

// Whether the initialisation takes a part of W, so that the base's weights are needed for it.
bool TakesPartOfBase(const std::string& start);
// N of "pissa_niter_N"; 0 for others.
int64_t PissaIterations(const std::string& start);
// Whether `start` is one of those above.
bool IsAdapterStart(const std::string& start);

// Reads adapter_config.json (model/adapter_config.cc). Every key is known: it is read, or it does
// not change what a trained adapter computes, or it has the value that does not. Throws
// Error{kInput} naming the file and any other key, such as those of later versions.
AdapterConfig ReadAdapterConfig(const Path& folder);

}  // namespace retort
