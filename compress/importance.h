// SPDX-License-Identifier: Apache-2.0
// The importance of a model's layers and neurons on given rows: the criterion for pruning.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "data/examples.h"
#include "model/model.h"

namespace retort {

// Which layers are dropped first.
//   kLoss    greedily, in each iteration the one without which the loss on the rows is lowest
//   kCosine  those that change the direction of the residual stream least: 1 - cos(block input,
//            block output), mean over all tokens (ShortGPT's block influence, arXiv 2403.03853),
//            in one pass
//   kRandom  by a seed, as a baseline
enum class LayerRule : uint8_t { kLoss, kCosine, kRandom };
// "loss" | "cosine" | "random"; throws Error{kInput}.
LayerRule ParseLayerRule(std::string_view name);
std::string_view NameOf(LayerRule rule);

struct LayerRanking {
  // For every layer of the whole model. kLoss: the rows' mean loss without only this layer;
  // kCosine: its influence; kRandom: empty.
  std::vector<double> importance;
  std::vector<int64_t> dropped;  // in the order in which they were dropped
  std::vector<double> losses;    // kLoss: the mean loss after each of these
  std::vector<int64_t> kept;     // ascending
};

struct ImportanceOptions {
  int64_t batch_tokens = 2048;                                   // per batch
  uint64_t seed = 1;                                             // kRandom
  std::function<void(int64_t done, int64_t total)> on_progress;  // passes over the rows
};

// Selects `drop` layers to drop; at least one layer must remain. kLoss makes one pass over the rows
// for each remaining layer in each iteration.
LayerRanking RankLayers(const Model& model, const Examples& examples, LayerRule rule, int64_t drop,
                        const ImportanceOptions& options);

// The model with only the layers `kept`, ascending. Frozen weights are shared, not copied.
Model WithLayers(const Model& model, const std::vector<int64_t>& kept);

// [layers][F]: for each MLP neuron f, the mean over all tokens of |act(gate_f) * up_f| times the
// norm of column f of the down projection. This is the mean norm of the neuron's contribution to
// the block's output (activation times weight, as in Wanda, arXiv 2306.11695, per neuron, as in
// Minitron, arXiv 2407.14679). Frozen weights only.
std::vector<std::vector<double>> NeuronImportance(const Model& model, const Examples& examples,
                                                  const ImportanceOptions& options);

// The indices of the `count` largest values, ascending; of equal values the earlier ones.
std::vector<int64_t> LargestPlaces(const std::vector<double>& values, int64_t count);

}  // namespace retort
