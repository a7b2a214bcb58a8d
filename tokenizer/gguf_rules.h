// SPDX-License-Identifier: Apache-2.0
// What llama.cpp (llama-vocab.cpp) assumes where a GGUF says nothing about its tokenizer. Files are
// read as it reads them, and what it could not read back is not written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace retort {

struct GgufDefaults {
  int32_t bos = -1, eos = -1, unk = -1, pad = -1;  // -1: none
  bool add_bos = false, add_eos = false;
};
// For tokenizer.ggml.model and tokenizer.ggml.pre.
GgufDefaults GgufDefaultsOf(std::string_view model, std::string_view pre);

// Whether reading a special token takes away the white space behind it: GGUF has no key for that,
// and llama.cpp tells it by the model's general.name.
bool TakesSpaceBehind(std::string_view model_name, std::string_view token);

// The ids that end a generation because of how they are spelt, such as <|im_end|>, ascending.
std::vector<int32_t> EndsBySpelling(const std::vector<std::string>& tokens);

// Why a spec cannot be written to a GGUF of this name without being read back differently, for
// example "added token '<x>' takes away the spaces before it (lstrip)"; "" if it can.
std::string GgufFault(const TokenizerSpec& spec, std::string_view model_name);

}  // namespace retort
