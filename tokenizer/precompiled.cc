// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/precompiled.h"

#include <utf8proc.h>

#include "tokenizer/sentencepiece_file.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

// Clusters of more bytes are looked up character by character.
constexpr size_t kMaxClusterBytes = 5;

// The end of the grapheme cluster that begins at `pos`; bytes that are no character stand alone.
size_t ClusterEnd(std::string_view text, size_t pos) {
  Utf8Char c = DecodeUtf8(text, pos);
  size_t end = pos + static_cast<size_t>(c.size);
  utf8proc_int32_t state = 0;
  while (c.valid && end < text.size()) {
    const Utf8Char next = DecodeUtf8(text, end);
    if (!next.valid || utf8proc_grapheme_break_stateful(static_cast<int32_t>(c.code),
                                                        static_cast<int32_t>(next.code), &state))
      break;
    c = next;
    end += static_cast<size_t>(c.size);
  }
  return end;
}

int Base64Digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

}  // namespace

std::string Precompiled(std::string_view charsmap, std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = ClusterEnd(text, pos);
    const auto whole = end - pos <= kMaxClusterBytes
                           ? ShortestReplacement(charsmap, text.substr(pos, end - pos))
                           : std::nullopt;
    if (whole) out += *whole, pos = end;
    while (pos < end) {
      const std::string_view character =
          text.substr(pos, static_cast<size_t>(DecodeUtf8(text, pos).size));
      out += ShortestReplacement(charsmap, character).value_or(character);
      pos += character.size();
    }
  }
  return out;
}

bool DecodeBase64(std::string_view text, std::string* bytes) {
  bytes->clear();
  if (text.size() % 4 != 0) return false;
  while (text.ends_with('=')) text.remove_suffix(1);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int digit = Base64Digit(c);
    if (digit < 0) return false;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    if ((count += 6) < 8) continue;
    count -= 8;
    bytes->push_back(static_cast<char>(bits >> count & 0xFF));
  }
  return true;
}

}  // namespace retort
