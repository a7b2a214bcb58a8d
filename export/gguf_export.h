// SPDX-License-Identifier: Apache-2.0
// Converts a Hugging Face folder to a GGUF file for llama.cpp and Retort's runner.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compress/tune_blocks.h"
#include "export/gguf_mix.h"
#include "export/importance.h"
#include "model/model_files.h"

namespace retort {

// The rows by which the blocks' matrices are rounded with error feedback.
struct Tuning {
  Model* model;  // loaded from the source; it has the quantised matrices then
  Examples examples;
  TuneOptions options;
};

struct GgufExportOptions {
  WeightFormat type = WeightFormat::kQ8_0;  // of most matrices, one of GgufFormatNames()
  bool pure = false;                        // embedding and head: `type`, not EmbeddingFormat(type)
  int threads = 0;                          // 0: all
  const GgufMix* mix = nullptr;  // of that type; null: `type` throughout, but as `pure` says
  std::map<std::string, WeightFormat> formats;  // of tensors by name, whatever else is said
  Importance importance;  // of the model's inputs; empty: blocks weigh errors by themselves
  // Null: each row is rounded by itself. Has matrices that a GGUF splits not, nor those outside the
  // blocks.
  const Tuning* tuning = nullptr;
};
// The options of a type as users name it (GgufTypeNames()); what llama.cpp has a mix for becomes
// that mix. Throws Error{kInput} for another name.
GgufExportOptions OptionsOfType(std::string_view name, bool pure = false, int threads = 0);

struct GgufExportResult {
  int64_t bytes = 0;
  // Matrices whose rows do not divide into blocks of their format, and what they have instead.
  std::vector<std::pair<std::string, WeightFormat>> other_formats;
  // Matrices that are quantised without the importance that was given: it does not have them, or
  // they are halves of a matrix (HeadSplit).
  std::vector<std::string> unweighted;
  std::vector<std::string> notes;  // what llama.cpp does otherwise with the tokenizer
};

// Throws Error{kInput} if the source is a GGUF, as WriteGguf does.
void RefuseGguf(const ModelFiles& source);
// The size of the file that WriteGguf would write.
int64_t GgufBytes(const ModelFiles& source, const Path& target, const GgufExportOptions& options);

// Writes the file beside `target` and renames it, so that it appears complete or not at all. Norms,
// biases and routers are f32. The rows of q and k are reordered as GGUF's architecture requires.
// Works tensor by tensor, in panels of rows, so that memory does not grow with the model. Throws
// Error{kInput} if the source is a GGUF.
GgufExportResult WriteGguf(const ModelFiles& source, const Path& target,
                           const GgufExportOptions& options);

}  // namespace retort
