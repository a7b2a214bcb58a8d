// SPDX-License-Identifier: Apache-2.0
// Writes adapters in PEFT's layout and models as Hugging Face folders.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "model/model.h"
#include "model/model_files.h"

namespace retort {

// Writes adapter_model.safetensors (f32) and adapter_config.json into an existing folder.
void WriteAdapterFiles(const Path& folder, const Adapter& adapter, const Layout& layout,
                       Backend& backend);

// Writes a model whose weights are all trained: model.safetensors (f32) into an existing folder,
// with the configuration and tokenizer files of `source`, a folder or a GGUF.
void WriteTrainedModelFiles(const Path& folder, const Model& model, const Path& source);

// Copies the files besides the weights that are present: configuration, generation configuration,
// tokenizer files and chat template. `torch_dtype`, if not empty, replaces that of config.json.
void CopyModelFiles(const Path& source, const Path& folder, const std::string& torch_dtype = "");

// The same for a model from a folder or a GGUF, whose configuration and tokenizer are written as a
// folder's files. Returns what readers of these files do otherwise, each a sentence's part. Throws
// Error{kInput} for what a folder's files cannot say.
std::vector<std::string> WriteModelFiles(const ModelFiles& source, const Path& folder,
                                         const std::string& torch_dtype = "");

// Copies only the tokenizer's files and the chat template.
void CopyTokenizerFiles(const Path& source, const Path& folder);

// Restores parameters from a file written by WriteTrainedModelFiles. Throws Error{kInput}
// naming a tensor that does not fit.
void ReadParameters(const Path& safetensors, const std::vector<Parameter*>& parameters,
                    const Layout& layout, Backend& backend);

// The files that contain a model's tensors, each listed once.
std::vector<Path> TensorFiles(const ModelFiles& files);

}  // namespace retort
