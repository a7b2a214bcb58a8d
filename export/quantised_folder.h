// SPDX-License-Identifier: Apache-2.0
// Folders with GPTQ's, AWQ's or LLM.int8's matrices, which transformers loads by the libraries of
// these kinds. (NF4 and FP4: export/folder_export.h.)
#pragma once

#include "export/folder_export.h"
#include "export/gguf_export.h"
#include "tensor/quant/group_integers.h"

namespace retort {

enum class FolderMethod : uint8_t { kGptq, kAwq, kInt8 };

struct QuantiseOptions {
  FolderMethod method = FolderMethod::kGptq;
  GroupKind kind = {};             // of the first two
  int threads = 0;                 // 0: all
  const Tuning* tuning = nullptr;  // of the first two, which are rounded with error feedback
};

// Throws Error{kInput} for a source that QuantiseFolder does not take: a GGUF, a quantised folder,
// or a model with experts, whose quantised folders no reader was shown to load.
void RefuseUnquantisable(const ModelFiles& source);

// Writes the folder beside `out`, compares it with its source as ExportGguf does, and renames it.
// Of the blocks' matrices; embedding and head keep their values. Holds the quantised
// matrices in memory. Throws Error{kInput} for a matrix that does not divide into groups or words.
FolderExport QuantiseFolder(const ModelFiles& source, const Path& out,
                            const QuantiseOptions& options);

}  // namespace retort
