// SPDX-License-Identifier: Apache-2.0
// Loads a Model from a Hugging Face folder or a GGUF file.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "formats/tensor_file.h"
#include "model/model.h"

namespace retort {

// A model on disk, opened and checked but not loaded: its configuration and mapped tensors.
struct ModelFiles {
  Path path;
  Architecture config;
  Layout layout;                         // of its tensors
  TensorTable tensors;                   // by the names in the file
  std::shared_ptr<const GgufFile> gguf;  // null for a folder

  // The stored type of the blocks' linear layers (of the first one).
  WeightFormat stored_format() const;
  // Its name; of values that are computed, that of what they are computed of.
  std::string_view stored_type() const;
  // Whether these are held in blocks, in a GGUF or in a folder that bitsandbytes quantised, or are
  // computed of a folder's codes and scales.
  bool quantised() const;
};

// A run's folder stands for the model that was trained in it (model/store/run_folder.h). Checks
// that every tensor is present with its shape, and no others. Throws Error{kInput} naming
// the missing, extra and wrongly shaped ones.
ModelFiles OpenModel(const Path& path);

// Whether a GGUF keeps the tensor as two (HeadSplit). It then has no place of its own.
bool IsSplit(const ModelFiles& files, const TensorSpec& spec);
// The names of the file's tensors that hold it, one or two.
std::vector<std::string> StoredNames(const ModelFiles& files, const TensorSpec& spec);

// A tensor's place in the model's files. A tied model may store only its head; that is then the
// embedding's place.
TensorPlace PlaceOf(const ModelFiles& files, const TensorSpec& spec);

// Throws Error{kInput} with the file, the tensor and the place if a tensor holds NaN or infinity.
// LoadModel checks all; FetchVector checks what it reads.
void CheckFinite(const ModelFiles& files, const TensorSpec& spec, ThreadPool& pool);

// A matrix of the model in Hugging Face's row order: borrowed from the mapped file, or a copy in
// `memory` if a GGUF interleaves its rows or splits the matrix, which is f32 then if it is stored
// in blocks. Resolves tied heads and stacked experts.
// One of 8 bits is decoded to f32, by `pool` if that is not null.
Weight FetchTensor(const ModelFiles& files, const TensorSpec& spec, Memory& memory,
                   ThreadPool* pool = nullptr);
// The values of a bias or a gain, in the same order. A gain includes any offset that the folder's
// stored values leave out.
std::vector<float> FetchVector(const ModelFiles& files, const TensorSpec& spec);

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
