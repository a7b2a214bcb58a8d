// SPDX-License-Identifier: Apache-2.0
// Translates expressions of tokenizer files, which are written for Oniguruma with Ruby's syntax, to
// PCRE2, with Unicode's classes of our own tables.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "tokenizer/unicode.h"

namespace retort {

// What PCRE2 can say in brackets for a general category ("L", "Lu"), such as "\p{L}\x{1C89}"; "" if
// only its ranges can say it.
using CategoryItems = std::function<std::string(std::string_view category, const CodeSet& set)>;

// A set as what stands in brackets, such as "\x{21}-\x{2F}".
std::string BracketsOf(const CodeSet& set);

// Handles \s \S \d \D \w \W \h \H \b \B \p{..} \P{..} \uHHHH, the same in brackets, brackets in
// brackets, &&, POSIX classes, (?m), {,n}, and {n,m}+, which repeats and is not possessive.
// Everything else is the same in both. Throws Error{kInput} naming `where` and a property that is
// not known.
std::string ToPcre2(std::string_view pattern, const std::string& where, const CategoryItems& items);

}  // namespace retort
