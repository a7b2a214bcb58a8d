// SPDX-License-Identifier: Apache-2.0
// From a Hugging Face folder or a GGUF file to a Model.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "formats/gguf.h"
#include "formats/tensor_file.h"
#include "model/model.h"

namespace retort {

// A model on disk, opened and checked but not loaded: its configuration and mapped tensors.
struct ModelFiles {
  Path path;
  Architecture config;
  Layout layout;                         // of its tensors
  TensorTable tensors;                   // under the names of their own file
  std::shared_ptr<const GgufFile> gguf;  // null for a folder

  // The type of the blocks' linear layers (of the first one), as stored.
  WeightFormat stored_format() const;
};

// Checks that every tensor is there in its shape, and no other. Throws Error{kInput} naming each
// one that is missing, extra or wrongly shaped.
ModelFiles OpenModel(const Path& path);

// Where the file at hand keeps a tensor. A tied model may store only its head: then the embedding
// lies there.
TensorPlace PlaceOf(const ModelFiles& files, const TensorSpec& spec);

// A matrix of the model in Hugging Face's row order: borrowed from the mapped file, or a copy in
// `memory` where a GGUF interleaves its rows. Tied heads and stacked experts are followed.
Weight FetchTensor(const ModelFiles& files, const TensorSpec& spec, Memory& memory);
// The values of a bias or a gain, in the same order; a gain as it is multiplied with, whatever
// offset the folder stores it with.
std::vector<float> FetchVector(const ModelFiles& files, const TensorSpec& spec);

struct LoadOptions {
  // Of every matrix; nullopt: as stored. NF4 covers the blocks' linear layers alone: embedding and
  // head keep their own type. A block format of a GGUF is kept where it is asked to become NF4.
  std::optional<WeightFormat> weights;
  bool double_quant = true;
  bool trainable = false;  // every weight in f32, as a Parameter
  // Matrices copied out of the mapped file as products read them fastest (WeightUse::lasting),
  // rather than used where they lie. An embedding stays in the file.
  bool copy = false;
  // What the matrices are used for, which decides with their formats what products are computed in.
  WeightUse::Purpose purpose = WeightUse::Purpose::kTraining;
};

// Whether a runner should copy: decoding reads all weights for every token. Not where the copy
// takes more than half of the memory that is left.
bool WorthCopying(const ModelFiles& files);

// Each tensor is converted as it is read, and its source pages are dropped from memory.
std::unique_ptr<Model> LoadModel(const ModelFiles& files, const LoadOptions& options,
                                 Backend& backend);

}  // namespace retort
