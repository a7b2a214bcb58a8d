// SPDX-License-Identifier: Apache-2.0
// Characters whose capital form is more than one character: "ß" is "SS".
#pragma once

#include <string_view>

namespace retort::jinja {

struct SpecialCase {
  char32_t code;
  std::string_view upper, title;  // UTF-8
};
// Null if the character has none.
const SpecialCase* FindSpecialCase(char32_t c);

}  // namespace retort::jinja
