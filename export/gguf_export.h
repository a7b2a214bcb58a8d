// SPDX-License-Identifier: Apache-2.0
// A Hugging Face folder to a GGUF file that llama.cpp and Retort's runner read.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/load.h"

namespace retort {

struct GgufExportOptions {
  WeightFormat type = WeightFormat::kQ8_0;  // one of GgufFormatNames()
  bool pure = false;                        // for embedding and head too, not EmbeddingFormat(type)
  int threads = 0;                          // 0: all
};

struct GgufExportResult {
  int64_t bytes = 0;
  std::vector<std::string> kept_f16;  // matrices whose rows do not divide into blocks
};

// Writes the file; it appears whole or not at all. Norms and biases are f32; q and k are put into
// the order of GGUF's architecture. Tensor by tensor, a panel of rows at a time: memory does not
// grow with the model. `target` must be on the same file system as its folder. Throws Error{kInput}
// for a source that is a GGUF.
GgufExportResult WriteGguf(const ModelFiles& source, const Path& target,
                           const GgufExportOptions& options);

}  // namespace retort
