// SPDX-License-Identifier: Apache-2.0
// A student made of its teacher: some of its layers, and of each layer's MLP some of the neurons.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "compress/importance.h"
#include "model/load.h"

namespace retort {

// What stays of a model.
struct PrunePlan {
  std::vector<int64_t> layers;  // ascending, at least one
  // Of each kept layer, ascending, all equally many; empty: every MLP stays whole.
  std::vector<std::vector<int64_t>> neurons;
};

// Writes the plan's part of the model into an existing folder, in the base's type and in memory
// bounded by a panel of rows: kept tensors byte for byte under their new layer's number, rows of
// the gate and up projections, columns of the down projection. Shards stay shards (one that becomes
// empty is left out), aliases stay aliases; config.json says the new sizes; generation
// configuration, tokenizer and template come along. Throws Error{kInput} for a GGUF.
void WritePrunedModel(const ModelFiles& source, const PrunePlan& plan, const Path& folder);

struct PruneOptions {
  Path out;
  int64_t layers = 0, ffn = 0;  // how many stay; 0: all
  LayerRule by = LayerRule::kLoss;
  ImportanceOptions importance;
};

struct PruneReport {
  LayerRule by = LayerRule::kLoss;
  uint64_t seed = 0;
  LayerRanking ranking;
  // Of each kept layer: the share of all its neurons' importance that stays. Empty when every MLP
  // stayed whole.
  std::vector<double> neuron_share;
  Architecture before, after;
  double loss_before = 0, loss_after = 0;  // mean on the rows
  int64_t rows = 0, loss_tokens = 0;
  int64_t parameters_before = 0, parameters_after = 0;
};
Json PruneJson(const PruneReport& report);

// Throws Error{kInput}, naming the flag, for sizes that the model does not have.
void CheckPruneOptions(const ModelFiles& source, const PruneOptions& options);

// Chooses the layers by the rows, then the neurons by what the remaining layers do on them, writes
// the model, loads it again and measures its loss. retort.json beside it says what it was made of.
// `model` is the source, loaded with its weights as stored. Throws Error{kInput} for sizes as
// above, for rows without loss and for a model whose loss is not finite.
PruneReport Prune(const ModelFiles& source, const Model& model,
                  const std::vector<Example>& examples, const PruneOptions& options);

}  // namespace retort
