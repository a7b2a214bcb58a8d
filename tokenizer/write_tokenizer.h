// SPDX-License-Identifier: Apache-2.0
// Writes a tokenizer that came out of a GGUF as the files of a Hugging Face folder.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// tokenizer.json for BPE; tokenizer.model for SentencePiece, and a tokenizer.json of the same
// beside it where merges can say what its scores say; tokenizer_config.json with special tokens and
// template. Rows that a GGUF names only to fill a model's embedding are left out. Returns what
// other readers of these files do otherwise, each a sentence's part. Throws Error{kInput},
// beginning with `where`, if no file can say what the tokenizer does.
std::vector<std::string> WriteTokenizerFiles(const TokenizerSpec& spec, int64_t max_positions,
                                             const Path& folder, const std::string& where);

}  // namespace retort
