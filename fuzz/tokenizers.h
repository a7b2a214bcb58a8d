// SPDX-License-Identifier: Apache-2.0
// For the fuzz targets that encode text.
#pragma once

#include "tokenizer/tokenizer.h"

namespace retort {

// A small byte-level tokenizer with the marks of all chat templates.
const Tokenizer& SmallTokenizer();

// Encodes a few texts, as text and as markup, and decodes the ids.
void UseTokenizer(const Tokenizer& tokenizer);

}  // namespace retort
