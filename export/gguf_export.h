// SPDX-License-Identifier: Apache-2.0
// Converts a Hugging Face folder to a GGUF file for llama.cpp and Retort's runner.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/load.h"

namespace retort {

struct GgufExportOptions {
  WeightFormat type = WeightFormat::kQ8_0;  // one of GgufFormatNames()
  bool pure = false;                        // embedding and head: `type`, not EmbeddingFormat(type)
  int threads = 0;                          // 0: all
};

struct GgufExportResult {
  int64_t bytes = 0;
  std::vector<std::string> kept_f16;  // matrices whose rows cannot be divided into blocks
  std::vector<std::string> notes;     // what llama.cpp does otherwise with the tokenizer
};

// Writes the file beside `target` and renames it, so that it appears complete or not at all. Norms,
// biases and routers are f32. The rows of q and k are reordered as GGUF's architecture requires.
// Works tensor by tensor, in panels of rows, so that memory does not grow with the model. Throws
// Error{kInput} if the source is a GGUF.
GgufExportResult WriteGguf(const ModelFiles& source, const Path& target,
                           const GgufExportOptions& options);

}  // namespace retort
