// SPDX-License-Identifier: Apache-2.0
// The identity of a tokenizer: a hash of all that its ids depend on.
#pragma once

#include <string>

#include "tokenizer/tokenizer.h"

namespace retort {

// 64 hexadecimal digits. Tokenizers of one hash encode every text alike.
std::string SpecHash(const TokenizerSpec& spec);

}  // namespace retort
