// SPDX-License-Identifier: Apache-2.0
// Reads a template's language, Jinja 3.1 with `do`, `break`, `continue` and `generation` blocks.
#pragma once

#include <string>
#include <string_view>

#include "template/jinja/ast.h"

namespace retort::jinja {

// Throws Error{kInput} with the line for what is not the language, and for a statement, filter or
// test that is not known.
Ast Parse(std::string_view source, const std::string& where);

}  // namespace retort::jinja
