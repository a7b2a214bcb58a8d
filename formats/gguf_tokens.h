// SPDX-License-Identifier: Apache-2.0
// The special tokens of a GGUF: what its tokenizer.ggml keys state, and where a key is absent, what
// llama.cpp infers. Files of 2023 and 2024 rely on that.
//
//   model  absent BOS  absent end  absent add_bos_token               absent add_eos_token
//   llama  1           2           true                               false
//   gpt2   none        none        true for Llama 3's pre-tokenizers  false
//   t5     none        1           false                              true
//
// An id that is inferred must be a control token. Besides the ids of eos_token_id, eot_token_id and
// eom_token_id, llama.cpp ends a generation at every token with a text such as "<|im_end|>". A file
// of Retort lists its ends in retort.end_token_ids, which then are all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/gguf_metadata.h"

namespace retort {

struct GgufTokens {
  int32_t bos = -1, eos = -1, unk = -1, pad = -1;  // -1: none
  bool add_bos = false, add_eos = false;
  std::vector<int32_t> ends;  // each once
};

// Throws Error{kInput}, beginning with `where`, for an id outside the vocabulary. -1 means none.
GgufTokens ReadGgufTokens(const GgufMetadata& metadata, const std::string& where);

}  // namespace retort
