// SPDX-License-Identifier: Apache-2.0
// Loads a tokenizer from a folder or a GGUF. For that of an open model see data/model_tokenizer.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// From a folder with only tokenizer files, a model's folder, or a GGUF.
std::unique_ptr<Tokenizer> LoadTokenizer(const Path& path);

// Converts to and from the tokenizer.ggml.* keys of a GGUF. What the file leaves out is read as
// llama.cpp reads it (gguf_rules.h).
TokenizerSpec SpecFromGguf(const GgufMetadata& metadata, const std::string& where);
// `metadata` already names the model. What GGUF's own keys cannot say is in keys of Retort's;
// returns what llama.cpp then does otherwise, each a sentence's part. A file that llama.cpp would
// read as another tokenizer names the model "retort", which llama.cpp refuses. Throws Error{kInput}, beginning with
// `where`, if no key can say what the tokenizer does.
std::vector<std::string> SpecToGguf(const TokenizerSpec& spec, int64_t model_vocab,
                                    const std::string& where, GgufMetadata& metadata);

}  // namespace retort
