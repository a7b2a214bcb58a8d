// SPDX-License-Identifier: Apache-2.0
// A model's configuration in a GGUF's metadata: read and written in one place.
#pragma once

#include "formats/gguf.h"
#include "model/spec/config.h"

namespace retort {

// Architectures llama (Llama and Mistral), qwen2, qwen3. Biases, head norms and a tied head are known by the
// tensors that are there. Throws Error{kInput} naming the file and the key.
ModelConfig ConfigFromGguf(const GgufFile& file);

// The architecture's keys ("llama.block_count" ...), general.architecture among them. The tokenizer's
// keys, general.name and general.file_type are the exporter's.
void ConfigToGguf(const ModelConfig& config, GgufMetadata& metadata);

}  // namespace retort
