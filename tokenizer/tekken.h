// SPDX-License-Identifier: Apache-2.0
// Reads tekken.json, the format of Mistral's own tokenizers: byte sequences in the order of their
// merges.
#pragma once

#include <string>

#include "tokenizer/tokenizer.h"

namespace retort {

// A byte-level BPE: the special tokens have the first ids, then the sequences. Throws Error{kInput}
// naming what is missing, or an expression that is none of the known pre-tokenizers'.
TokenizerSpec ParseTekken(const std::string& text, const std::string& where);

}  // namespace retort
