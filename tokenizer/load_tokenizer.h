// SPDX-License-Identifier: Apache-2.0
// A tokenizer, whichever file it lies in. That of an opened model: data/model_tokenizer.h.
#pragma once

#include <memory>

#include "formats/gguf.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// From a folder that holds tokenizer files alone, a model's folder, or a GGUF.
std::unique_ptr<Tokenizer> LoadTokenizer(const Path& path);

// tokenizer.ggml.* of a GGUF, both ways.
TokenizerSpec SpecFromGguf(const GgufMetadata& metadata, const std::string& where);
void SpecToGguf(const TokenizerSpec& spec, int64_t model_vocab, GgufMetadata& metadata);

}  // namespace retort
