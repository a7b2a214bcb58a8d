// SPDX-License-Identifier: Apache-2.0
// How much a model's parts matter to what it says on given rows: what pruning goes by.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "data/examples.h"
#include "model/model.h"

namespace retort {

// Which layers go first.
//   kLoss    greedily, in each round the one whose absence gives the lowest loss on the rows
//   kCosine  those that turn the residual stream least: 1 - cos(block input, block output), mean
//            over all tokens (ShortGPT's block influence, arXiv 2403.03853), in one pass
//   kRandom  by a seed, to compare with
enum class LayerRule : uint8_t { kLoss, kCosine, kRandom };
// "loss" | "cosine" | "random"; throws Error{kInput}.
LayerRule ParseLayerRule(std::string_view name);
std::string_view NameOf(LayerRule rule);

struct LayerRanking {
  // Of every layer of the whole model: kLoss, the rows' mean loss without it alone; kCosine, its
  // influence; kRandom, empty.
  std::vector<double> importance;
  std::vector<int64_t> dropped;  // in the order in which they went
  std::vector<double> losses;    // kLoss: the mean loss after each of these
  std::vector<int64_t> kept;     // ascending
};

struct ImportanceOptions {
  int64_t batch_tokens = 2048;                                   // computed at once
  uint64_t seed = 1;                                             // kRandom
  std::function<void(int64_t done, int64_t total)> on_progress;  // passes over the rows
};

// The layers to go without, `drop` of them, at least one of the model's layers being kept. kLoss
// takes as many passes over the rows as there are layers left in each round.
LayerRanking RankLayers(const Model& model, const std::vector<Example>& examples, LayerRule rule,
                        int64_t drop, const ImportanceOptions& options);

// The model with these of its layers alone, ascending. Frozen weights are shared, not copied.
Model WithLayers(const Model& model, const std::vector<int64_t>& kept);

// [layers][F]: of each MLP neuron f, the mean over all tokens of |silu(gate_f) * up_f| times the
// norm of column f of the down projection, which is the mean norm of what the block's output loses
// without it (activation times weight, as in Wanda, arXiv 2306.11695, with a neuron as the unit, as
// in Minitron, arXiv 2407.14679). Frozen weights only.
std::vector<std::vector<double>> NeuronImportance(const Model& model,
                                                  const std::vector<Example>& examples,
                                                  const ImportanceOptions& options);

// The places of the `count` largest values, ascending; of equal ones the earlier.
std::vector<int64_t> LargestPlaces(const std::vector<double>& values, int64_t count);

}  // namespace retort
