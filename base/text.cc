// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "base/strings.h"

namespace retort {
namespace {

struct Character {
  size_t bytes;    // 1 to 4
  uint32_t point;  // its code point, or the byte if not valid
  bool valid;      // UTF-8: no overlong form, no surrogate
};

Character CharacterAt(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const uint32_t first = byte(0);
  if (first < 0x80) return {1, first, true};
  const size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + bytes > text.size()) return {1, first, false};
  uint32_t point = first & (0x7fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {1, first, false};
    point = point << 6 | (byte(i) & 0x3f);
  }
  const bool overlong = point < (bytes == 4 ? 0x10000u : bytes == 3 ? 0x800u : 0x80u);
  const bool surrogate = point >= 0xd800 && point < 0xe000;
  if (overlong || surrogate || point > 0x10ffff) return {1, first, false};
  return {bytes, point, true};
}

bool IsSafe(uint32_t point) {
  if (point < 0x20 || (point >= 0x7f && point < 0xa0)) return false;
  const bool separates = point == 0x2028 || point == 0x2029;
  const bool directs = point == 0x61c || point == 0x200e || point == 0x200f ||
                       (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
  const bool unseen = point == 0x200b || (point >= 0x2060 && point <= 0x2065) || point == 0xfeff;
  return !separates && !directs && !unseen;
}

std::string Escaped(const Character& c) {
  if (c.point == '\n') return "\\n";
  if (c.point == '\r') return "\\r";
  if (c.point == '\t') return "\\t";
  char text[16];
  std::snprintf(text, sizeof text, c.valid && c.point > 0x7f ? "\\u%04x" : "\\x%02x", c.point);
  return text;
}

// Appends the character at `at` to `out`, if that stays within `most` bytes. Returns its length in
// the text, or 0 if there is no room.
size_t Append(std::string_view text, size_t at, size_t most, std::string& out) {
  const Character c = CharacterAt(text, at);
  if (c.valid && IsSafe(c.point)) {
    if (out.size() + c.bytes > most) return 0;
    out += text.substr(at, c.bytes);
  } else {
    const std::string escaped = Escaped(c);
    if (out.size() + escaped.size() > most) return 0;
    out += escaped;
  }
  return c.bytes;
}

// As much of the text's start as fits; `end` is where it stops.
std::string Head(std::string_view text, size_t most, size_t& end) {
  std::string out;
  end = 0;
  for (size_t n; end < text.size() && (n = Append(text, end, most, out)) != 0;) end += n;
  return out;
}

// As much of the text's end as fits; `begin` is where it starts.
std::string Tail(std::string_view text, size_t most, size_t& begin) {
  begin = text.size() - std::min(text.size(), most);
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80) ++begin;
  for (;;) {
    std::string out;
    size_t at = begin;
    for (size_t n; at < text.size() && (n = Append(text, at, most, out)) != 0;) at += n;
    if (at == text.size()) return out;
    begin += CharacterAt(text, begin).bytes;  // escapes made it longer
  }
}

}  // namespace

std::string OneLine(std::string_view text, size_t most) {
  size_t end;
  std::string whole = Head(text, most, end);
  if (end == text.size()) return whole;
  constexpr size_t kMark = 44;  // bytes of the longest "…[N bytes left out]…"
  const size_t room = most - std::min(most, kMark);
  const std::string head = Head(text, room - room / 3, end);
  size_t begin;
  const std::string tail = Tail(text.substr(end), room / 3, begin);
  return Cat(head, "…[", begin, " bytes left out]…", tail);
}

std::string Quoted(std::string_view text, size_t most) {
  return Cat("'", OneLine(text, most), "'");
}

std::string Shortened(std::string_view text, size_t most) {
  const bool cut = text.size() > most;
  if (cut) {
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
    text = text.substr(0, most);
  }
  std::string shown(text);
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return cut ? shown + "..." : shown;
}

}  // namespace retort
