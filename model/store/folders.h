// SPDX-License-Identifier: Apache-2.0
// Writing adapters in PEFT's layout and models as Hugging Face folders.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "model/load.h"

namespace retort {

// adapter_model.safetensors (f32) and adapter_config.json into an existing folder.
void WriteAdapterFiles(const Path& folder, const Adapter& adapter, const Layout& layout,
                       Backend& backend);

// A model whose weights are all trained: model.safetensors (f32) into an existing folder, beside
// the configuration and tokenizer of the folder it came from.
void WriteTrainedModelFiles(const Path& folder, const Model& model, const Path& source);

// Copies what makes a folder usable besides its weights: configuration, generation configuration,
// tokenizer files and chat template, whichever are there. `torch_dtype`, where given, replaces
// config.json's.
void CopyModelFiles(const Path& source, const Path& folder, const std::string& torch_dtype = "");

// The tokenizer's files and chat template alone.
void CopyTokenizerFiles(const Path& source, const Path& folder);

// Puts values of a file written by one of the first two back. Throws Error{kInput} naming what does
// not fit.
void ReadParameters(const Path& safetensors, const std::vector<Parameter*>& parameters,
                    const Layout& layout, Backend& backend);

// The files that hold a model's tensors, each once.
std::vector<Path> TensorFiles(const ModelFiles& files);

// Hash of a model's tensors by name, shape, type and first bytes: tells one base from another
// without reading gigabytes.
std::string Fingerprint(const ModelFiles& files);

}  // namespace retort
