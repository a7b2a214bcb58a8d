// SPDX-License-Identifier: Apache-2.0
// A model on disk: a Hugging Face folder or a GGUF file.
#pragma once

#include <memory>
#include <string_view>

#include "formats/gguf.h"
#include "formats/tensor_file.h"
#include "model/layout.h"

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

}  // namespace retort
