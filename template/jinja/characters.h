// SPDX-License-Identifier: Apache-2.0
// Texts by Unicode character, as Python's str counts and changes them. A byte that is not UTF-8
// counts as one character.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "template/jinja/text.h"

namespace retort::jinja {

int64_t CountCharacters(std::string_view text);
// Where each character begins, and the text's size.
std::vector<size_t> CharacterStarts(std::string_view text);
// The byte at which a character begins; the text's size beyond its end.
size_t ByteOfCharacter(std::string_view text, int64_t character);

// str.isspace of a character.
bool IsPythonSpace(char32_t c);
// Whether repr() shows the character itself.
bool IsPrintable(char32_t c);
bool IsUpper(char32_t c);
bool IsLower(char32_t c);
bool IsTitle(char32_t c);
bool IsLetter(char32_t c);
bool IsDecimal(char32_t c);
bool IsNumeric(char32_t c);

enum class CaseForm { kUpper, kLower, kTitle, kFold };
// Every character's form. kLower knows the sigma at the end of a word.
Text InCase(const Text& text, CaseForm form);
Text Capitalized(const Text& text);  // the first character's title form, the others lower
Text Titled(const Text& text);       // as str.title
Text SwappedCase(const Text& text);

// Without white space, or the characters of `of`, at its ends.
enum class Side { kLeft, kRight, kBoth };
Text Stripped(const Text& text, Side side);
Text Stripped(const Text& text, Side side, std::string_view of);

}  // namespace retort::jinja
