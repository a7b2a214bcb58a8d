// SPDX-License-Identifier: Apache-2.0
// The tokenizer of an opened model.
#pragma once

#include "model/model_files.h"
#include "tokenizer/load_tokenizer.h"

namespace retort {

// Loads it from the folder's files or the GGUF's metadata. Throws Error{kInput} if it has more ids
// than the model has embedding rows, or if its BOS, end or other special ids are outside its
// pieces.
std::unique_ptr<Tokenizer> LoadTokenizer(const ModelFiles& files);

}  // namespace retort
