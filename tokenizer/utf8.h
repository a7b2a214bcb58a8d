// SPDX-License-Identifier: Apache-2.0
// UTF-8 decoding and encoding by character, and GPT-2's alphabet of printable letters for bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace retort {

struct Utf8Char {
  char32_t code = 0xFFFD;
  int size = 1;        // bytes consumed; if invalid, the bytes that could begin a character
  bool valid = false;  // well-formed as in Unicode's table 3-7: no overlong forms, no surrogates
  bool cut = false;    // the text ends inside a character that is valid so far
};

// The character at `pos` < text.size().
Utf8Char DecodeUtf8(std::string_view text, size_t pos);
// The position of the first byte at or after `pos` that does not begin a valid character;
// text.size() if there is none.
size_t ValidUtf8End(std::string_view text, size_t pos);
void AppendUtf8(char32_t code, std::string* out);
// The start of the character that byte `pos` belongs to, in valid text; `pos` itself at its end.
size_t Utf8Begin(std::string_view text, size_t pos);
// The start of the character that ends at `pos` > 0.
size_t PreviousUtf8(std::string_view text, size_t pos);

// Unicode's White_Space property.
bool IsSpace(char32_t code);

// "▁", U+2581: SentencePiece's mark for a space.
inline constexpr std::string_view kMetaSpace = "\xE2\x96\x81";

// The byte-level alphabet: printable Latin-1 bytes map to themselves, the others in order to U+0100
// and on ("Ġ" is a space).
char32_t ByteToLetter(uint8_t byte);
// Converts letters back to bytes; false if a character is not in the alphabet.
bool LettersToBytes(std::string_view letters, std::string* bytes);

// The byte of a piece such as "<0x0A>", else -1.
int BytePiece(std::string_view piece);

}  // namespace retort
