// SPDX-License-Identifier: Apache-2.0
// Whether two models speak in the same tokens.
#pragma once

#include <string>

#include "tokenizer/tokenizer.h"

namespace retort {

// "" when both make the same ids of the same texts and the same texts of the same ids, as far as
// their pieces, merges and added tokens say, over the ids that both have; one may have more ids
// than the other (padding, further added tokens). Else the first difference, in words: "id 1234 is
// 'foo' in the one and 'bar' in the other". How words are cut before merging is not compared here,
// since files spell it in many ways: compare what both make of real rows.
std::string Disagreement(const Tokenizer& one, const Tokenizer& other);

}  // namespace retort
