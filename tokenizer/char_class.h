// SPDX-License-Identifier: Apache-2.0
// The character classes used by word-splitting expressions.
#pragma once

#include <array>
#include <cstdint>

namespace retort {

enum class CharClass : uint8_t { kOther, kLetter, kNumber, kSpace };  // \p{L}, \p{N}, \s

// The class of a non-ASCII character, from a table that the first call builds (unicode.h).
CharClass ClassBeyondAscii(char32_t code);

namespace char_class {
constexpr std::array<CharClass, 128> MakeAscii() {
  std::array<CharClass, 128> classes{};
  for (int c = 0; c < 128; ++c) {
    const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    classes[c] = letter                 ? CharClass::kLetter
                 : c >= '0' && c <= '9' ? CharClass::kNumber
                 : space                ? CharClass::kSpace
                                        : CharClass::kOther;
  }
  return classes;
}
inline constexpr std::array<CharClass, 128> kAscii = MakeAscii();
}  // namespace char_class

inline CharClass ClassOf(char32_t code) {
  return code < 128 ? char_class::kAscii[code] : ClassBeyondAscii(code);
}

}  // namespace retort
