// SPDX-License-Identifier: Apache-2.0
// Loads a Model from its files.
#pragma once

#include <memory>
#include <optional>

#include "model/model.h"
#include "model/model_files.h"

namespace retort {

struct LoadOptions {
  // The format of every matrix; nullopt: as stored. NF4 applies only to the blocks' linear layers
  // other than routers: embedding and head keep their stored type. With NF4, matrices stored in a
  // GGUF block format keep it.
  std::optional<WeightFormat> weights;
  bool double_quant = true;
  bool trainable = false;  // every weight in f32, as a Parameter
  // Copies matrices out of the mapped file into the backend's fastest layout (WeightUse::lasting)
  // instead of using them in place. An embedding is always used in place.
  bool copy = false;
  // The matrices' use; together with their formats it determines the type that products are
  // computed in.
  WeightUse::Purpose purpose = WeightUse::Purpose::kTraining;
};

// Whether a runner should set LoadOptions::copy, since decoding reads all weights for every token:
// true unless the copy would take more than half of the available memory.
bool WorthCopying(const ModelFiles& files);

// Converts each tensor as it is read and then releases its source pages from memory. Throws
// Error{kInput} for a tensor that holds NaN or infinity.
std::unique_ptr<Model> LoadModel(const ModelFiles& files, const LoadOptions& options,
                                 Backend& backend);

}  // namespace retort
