// SPDX-License-Identifier: Apache-2.0
// Reads regular expressions (docs/grammars.md has the dialect: ECMAScript's without what is not
// regular).
#pragma once

#include <string>
#include <string_view>

#include "grammar/characters.h"
#include "grammar/expressions.h"

namespace retort {

// The texts that the whole of which matches; ^ and $ may stand at the ends. Throws Error{kInput}
// that begins with `where` and names what is not supported and its place.
ExpressionId ReadWholeRegex(Expressions& expressions, std::string_view pattern, Spelling spelling,
                            const std::string& where);
// The texts of `any` characters a part of which matches, as JSON Schema's "pattern": ^ and $ tie an
// alternative to the ends.
ExpressionId ReadSearchRegex(Expressions& expressions, std::string_view pattern, Spelling spelling,
                             ExpressionId any, const std::string& where);

}  // namespace retort
