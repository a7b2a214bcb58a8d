// SPDX-License-Identifier: Apache-2.0
// Creates a student from a subset of its teacher's layers and of the neurons in each layer's MLP.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "compress/importance.h"
#include "model/model.h"
#include "model/model_files.h"

namespace retort {

// The parts of a model to keep.
struct PrunePlan {
  std::vector<int64_t> layers;  // ascending, at least one
  // For each kept layer, its kept neurons, ascending; the same number in every layer. Empty: MLPs
  // are not pruned.
  std::vector<std::vector<int64_t>> neurons;
};

// Writes the kept parts of the model into an existing folder, in the base's type, using memory for
// one panel of rows. Kept tensors are copied byte for byte under their new layer numbers; of the
// gate and up projections only kept rows, of the down projection only kept columns. The division
// into shards (without empty ones) and aliases are preserved. config.json gets the new sizes;
// generation configuration, tokenizer and template are copied. Throws Error{kInput} for a GGUF.
void WritePrunedModel(const ModelFiles& source, const PrunePlan& plan, const Path& folder);

struct PruneOptions {
  Path out;
  int64_t layers = 0, ffn = 0;  // numbers to keep; 0: all
  LayerRule by = LayerRule::kLoss;
  ImportanceOptions importance;
};

struct PruneReport {
  LayerRule by = LayerRule::kLoss;
  uint64_t seed = 0;
  LayerRanking ranking;
  // For each kept layer: the kept neurons' share of the layer's total importance. Empty if MLPs
  // were not pruned.
  std::vector<double> neuron_share;
  Architecture before, after;
  double loss_before = 0, loss_after = 0;  // mean over the rows' tokens that carry loss
  int64_t rows = 0, loss_tokens = 0;
  int64_t parameters_before = 0, parameters_after = 0;
};
Json PruneJson(const PruneReport& report);

// Throws Error{kInput}, naming the flag, for sizes that are impossible for the model.
void CheckPruneOptions(const ModelFiles& source, const PruneOptions& options);

// Ranks the layers on the rows, then the neurons with only the kept layers, writes the model, loads
// it again and measures its loss. Its folder also gets a retort.json that describes its origin.
// `model` is the source, loaded with its weights as stored. Throws Error{kInput} for impossible
// sizes, for rows without loss and for a model whose loss is not finite.
PruneReport Prune(const ModelFiles& source, const Model& model, const Examples& examples,
                  const PruneOptions& options);

}  // namespace retort
