// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/utf8.h"

#include <array>
#include <cstring>

#include "base/hex.h"

namespace retort {
namespace {

constexpr int kLetters = 0x144;  // one past the last letter of the byte-level alphabet

constexpr bool StandsForItself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<uint16_t, 256> letter{};
  std::array<int16_t, kLetters> byte{};
};

constexpr Alphabet MakeAlphabet() {
  Alphabet alphabet;
  for (auto& byte : alphabet.byte) byte = -1;
  int next = 0x100;
  for (int b = 0; b < 256; ++b) {
    const int letter = StandsForItself(b) ? b : next++;
    alphabet.letter[b] = static_cast<uint16_t>(letter);
    alphabet.byte[letter] = static_cast<int16_t>(b);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = MakeAlphabet();

}  // namespace

Utf8Char DecodeUtf8(std::string_view text, size_t pos) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(pos);
  if (lead < 0x80) return {lead, 1, true};
  const int size = lead >= 0xC2 && lead <= 0xDF   ? 2
                   : lead >= 0xE0 && lead <= 0xEF ? 3
                   : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                  : 0;
  if (size == 0) return {};
  char32_t code = lead & (0x7F >> size);
  for (int i = 1; i < size; ++i) {
    if (pos + i == text.size()) return {.cut = true};
    const uint8_t next = byte(pos + i);
    // The second byte's range excludes overlong forms, surrogates and codes above U+10FFFF.
    const uint8_t low = i > 1 ? 0x80 : lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const uint8_t high = i > 1 ? 0xBF : lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (next < low || next > high) return {.size = i};
    code = code << 6 | (next & 0x3F);
  }
  return {code, size, true};
}

size_t ValidUtf8End(std::string_view text, size_t pos) {
  while (pos < text.size()) {
    uint64_t eight = 0;
    if (text.size() - pos >= sizeof eight) {
      std::memcpy(&eight, text.data() + pos, sizeof eight);
      if ((eight & 0x8080808080808080) == 0) {
        pos += sizeof eight;
        continue;
      }
    }
    const Utf8Char c = DecodeUtf8(text, pos);
    if (!c.valid) break;
    pos += static_cast<size_t>(c.size);
  }
  return pos;
}

void AppendUtf8(char32_t code, std::string* out) {
  const auto put = [&](uint32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6), put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12), put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18), put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
  }
}

size_t Utf8Begin(std::string_view text, size_t pos) {
  while (pos > 0 && pos < text.size() && (text[pos] & 0xC0) == 0x80) --pos;
  return pos;
}

size_t PreviousUtf8(std::string_view text, size_t pos) {
  for (size_t begin = pos - 1, i = 0; i < 4; ++i, --begin) {
    const Utf8Char c = DecodeUtf8(text.substr(0, pos), begin);
    if (c.valid && begin + c.size == pos) return begin;
    if (begin == 0) break;
  }
  return pos - 1;
}

bool IsSpace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

char32_t ByteToLetter(uint8_t byte) { return kAlphabet.letter[byte]; }

bool LettersToBytes(std::string_view letters, std::string* bytes) {
  bytes->clear();
  for (size_t pos = 0; pos < letters.size();) {
    const Utf8Char c = DecodeUtf8(letters, pos);
    if (!c.valid || c.code >= kLetters || kAlphabet.byte[c.code] < 0) return false;
    bytes->push_back(static_cast<char>(kAlphabet.byte[c.code]));
    pos += c.size;
  }
  return true;
}

int BytePiece(std::string_view piece) {
  if (piece.size() != 6 || piece.substr(0, 3) != "<0x" || piece[5] != '>') return -1;
  const int high = HexDigit(piece[3]), low = HexDigit(piece[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

}  // namespace retort
