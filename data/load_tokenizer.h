// SPDX-License-Identifier: Apache-2.0
// The tokenizer of a model, whichever file it lies in.
#pragma once

#include <memory>

#include "data/tokenizer.h"
#include "formats/gguf.h"
#include "model/load.h"

namespace retort {

// From the folder's files or the GGUF's metadata. Throws Error{kInput} when it has more ids than the model
// has rows, or ends and BOS outside of it.
std::unique_ptr<Tokenizer> LoadTokenizer(const ModelFiles& files);
// From a folder that holds tokenizer files alone, a model's folder, or a GGUF.
std::unique_ptr<Tokenizer> LoadTokenizer(const Path& path);

// tokenizer.ggml.* of a GGUF, both ways.
TokenizerSpec SpecFromGguf(const GgufMetadata& metadata, const std::string& where);
void SpecToGguf(const TokenizerSpec& spec, int64_t model_vocab, GgufMetadata& metadata);

}  // namespace retort
