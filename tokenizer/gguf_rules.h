// SPDX-License-Identifier: Apache-2.0
// What llama.cpp (llama-vocab.cpp) assumes where a GGUF says nothing about its tokenizer. Files are
// read as it reads them, and what it could not read back is not written.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace retort {

// Whether reading a special token takes away the white space behind it: GGUF has no key for that,
// and llama.cpp tells it by the model's general.name.
bool TakesSpaceBehind(std::string_view model_name, std::string_view token);

// What the keys that llama.cpp knows cannot say about a tokenizer.
struct GgufLosses {
  // Why llama.cpp must not open the file, for example "its tokenizer normalises text in a way that GGUF
  // has no name for"; "" if it may.
  std::string fault;
  // What no key of a GGUF says but Retort's own, for example "added token '<x>' takes away the spaces
  // before it (lstrip)": llama.cpp reads rare texts otherwise.
  std::vector<std::string> unsaid;
  // What the file says, but llama.cpp does not do.
  std::vector<std::string> undone;
};

// `pre`: the name for the spec's splits (PreNameOf).
GgufLosses LossesInGguf(const TokenizerSpec& spec, const std::string& pre,
                        std::string_view model_name);

}  // namespace retort
