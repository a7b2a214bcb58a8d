// SPDX-License-Identifier: Apache-2.0
// Checks whether two tokenizers use the same tokens.
#pragma once

#include <string>

#include "tokenizer/tokenizer.h"

namespace retort {

// Compares pieces, merges and added tokens over the ids that both tokenizers have; one may have
// more ids than the other (padding, further added tokens). Returns "" if they agree, else the first
// difference, for example "id 1234 is 'foo' in the one and 'bar' in the other". Word splitting is
// not compared, since files express it in many ways; for that, compare the encodings of real rows.
std::string Disagreement(const Tokenizer& one, const Tokenizer& other);

}  // namespace retort
