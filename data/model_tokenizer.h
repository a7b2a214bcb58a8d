// SPDX-License-Identifier: Apache-2.0
// The tokenizer of an opened model.
#pragma once

#include "model/load.h"
#include "tokenizer/load_tokenizer.h"

namespace retort {

// From the folder's files or the GGUF's metadata. Throws Error{kInput} when it has more ids than
// the model has rows, or ends and BOS outside of it.
std::unique_ptr<Tokenizer> LoadTokenizer(const ModelFiles& files);

}  // namespace retort
