// SPDX-License-Identifier: Apache-2.0
// UTF-8, one character at a time, and GPT-2's alphabet of printable stand-ins for bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace retort {

struct Utf8Char {
  char32_t code = 0xFFFD;
  int size = 1;        // bytes taken; where invalid, those that could have begun a character
  bool valid = false;  // well-formed as in Unicode's table 3-7: no overlong forms, no surrogates
  bool cut = false;    // the text ends before the character does, and what is there could begin one
};

// The character at `pos` < text.size().
Utf8Char DecodeUtf8(std::string_view text, size_t pos);
// Where the first byte at or after `pos` stands that begins no valid character; text.size() when
// none does.
size_t ValidUtf8End(std::string_view text, size_t pos);
void AppendUtf8(char32_t code, std::string* out);
// Where the character that ends before `pos` > 0 begins.
size_t PreviousUtf8(std::string_view text, size_t pos);

// Unicode's White_Space property.
bool IsSpace(char32_t code);

// "▁", U+2581: how SentencePiece writes a space.
inline constexpr std::string_view kMetaSpace = "\xE2\x96\x81";

// The byte-level alphabet: printable Latin-1 bytes stand for themselves, the others for U+0100
// onwards in their order ("Ġ" is a space).
char32_t ByteToLetter(uint8_t byte);
// The bytes that letters stand for; false when a character is no such letter.
bool LettersToBytes(std::string_view letters, std::string* bytes);

// The byte that a piece such as "<0x0A>" stands for, else -1.
int BytePiece(std::string_view piece);

}  // namespace retort
