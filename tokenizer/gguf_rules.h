// SPDX-License-Identifier: Apache-2.0
// What llama.cpp (llama-vocab.cpp) assumes where a GGUF says nothing about its tokenizer. Files are
// read as it reads them, and what it could not read back is not written.
#pragma once

#include <string>
#include <string_view>

#include "tokenizer/tokenizer.h"

namespace retort {

// Whether reading a special token takes away the white space behind it: GGUF has no key for that,
// and llama.cpp tells it by the model's general.name.
bool TakesSpaceBehind(std::string_view model_name, std::string_view token);

// Why a spec cannot be written to a GGUF of this name without being read back differently, for
// example "added token '<x>' takes away the spaces before it (lstrip)"; "" if it can.
std::string GgufFault(const TokenizerSpec& spec, std::string_view model_name);

}  // namespace retort
