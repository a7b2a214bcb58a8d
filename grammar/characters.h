// SPDX-License-Identifier: Apache-2.0
// Characters as expressions over bytes: as they are, and as a JSON string writes them.
#pragma once

#include <string>
#include <string_view>

#include "grammar/expressions.h"
#include "tokenizer/unicode.h"

namespace retort {

// How a character is spelt.
enum class Spelling {
  kUtf8,
  // Within a JSON string, as Retort and Python write it: a quote, a backslash and control
  // characters are escaped, in one way each, and nothing else is. So each text has one spelling.
  kJson,
};

// One character of the set. Surrogates, which are no characters, are left out.
ExpressionId OneOf(Expressions& expressions, const CodeSet& set, Spelling spelling);

// The characters of a text, which must be UTF-8.
std::string Spell(std::string_view text, Spelling spelling);

// All characters.
const CodeSet& AllCharacters();

}  // namespace retort
