// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/word_ends.h"

#include "tokenizer/char_class.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

using enum CharClass;

struct Char {
  CharClass kind;
  size_t size;
};

// The numbers that only kEachDigit knows.
bool IsNewDigit(char32_t code) {
  return (code >= 0x11DE0 && code <= 0x11DE9) || (code >= 0x16FF4 && code <= 0x16FF6);
}

// kNewDigits: with those.
template <bool kNewDigits = false>
inline Char At(std::string_view text, size_t pos) {
  const auto byte = static_cast<uint8_t>(text[pos]);
  if (byte < 0x80) return {char_class::kAscii[byte], 1};
  const Utf8Char c = DecodeUtf8(text, pos);
  const auto size = static_cast<size_t>(c.size);
  if (kNewDigits && IsNewDigit(c.code)) return {kNumber, size};
  return {ClassBeyondAscii(c.code), size};
}

template <bool kNewDigits = false>
inline bool IsAt(std::string_view text, size_t pos, CharClass kind) {
  return pos < text.size() && At<kNewDigits>(text, pos).kind == kind;
}

// The end of the run of characters of one class that begins at `pos`.
template <bool kNewDigits = false>
inline size_t RunEnd(std::string_view text, size_t pos, CharClass kind) {
  while (pos < text.size()) {
    const Char c = At<kNewDigits>(text, pos);
    if (c.kind != kind) break;
    pos += c.size;
  }
  return pos;
}

bool IsNewline(char c) { return c == '\r' || c == '\n'; }

// The size of 's, 't, 're, 've, 'm, 'll or 'd with its apostrophe at `pos`, else 0.
template <bool kAnyCase>
size_t Contraction(std::string_view text, size_t pos) {
  const auto letter = [&](size_t i) {
    const char c = pos + i < text.size() ? text[pos + i] : '\0';
    return kAnyCase && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  const char first = letter(1), second = letter(2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if ((first == 'r' || first == 'v') && second == 'e') return 3;
  if (first == 'l' && second == 'l') return 3;
  // U+017F, the long s, matches s when ignoring case.
  if (kAnyCase && first == '\xC5' && second == '\xBF') return 3;
  return 0;
}

// \s+(?!\S)|\s+: white space up to the text's end, else without its last character, which belongs
// to the next word. `digits_end`: a digit counts as the end of the text.
size_t SpaceEnd(std::string_view text, size_t pos, bool digits_end) {
  size_t last = pos, end = pos;
  for (; IsAt(text, end, kSpace); end += At(text, end).size) last = end;
  if (end == text.size() || last == pos) return end;
  return digits_end && IsAt<true>(text, end, kNumber) ? end : last;
}

// \s*[\r\n]+, else as above.
size_t LineOrSpaceEnd(std::string_view text, size_t pos) {
  size_t line = 0;
  for (size_t end = pos; IsAt(text, end, kSpace); end += At(text, end).size) {
    if (IsNewline(text[end])) line = end + 1;
  }
  return line ? line : SpaceEnd(text, pos, false);
}

template <int kDigits>
size_t Llama3End(std::string_view text, size_t pos) {
  const char first = text[pos];
  if (first == '\'') {
    if (const size_t size = Contraction<true>(text, pos)) return pos + size;
  }
  const Char c = At(text, pos);
  const size_t second = pos + c.size;
  if (c.kind == kLetter) return RunEnd(text, second, kLetter);
  if (c.kind == kNumber) {
    size_t end = second;
    for (int i = 1; i < kDigits && IsAt(text, end, kNumber); ++i) end += At(text, end).size;
    return end;
  }
  if (!IsNewline(first) && IsAt(text, second, kLetter)) return RunEnd(text, second, kLetter);
  const size_t others = first == ' ' ? second : pos;
  if (!IsAt(text, others, kOther)) return LineOrSpaceEnd(text, pos);
  size_t end = RunEnd(text, others, kOther);
  while (end < text.size() && IsNewline(text[end])) ++end;
  return end;
}

template <bool kDigitsApart>
size_t Gpt2End(std::string_view text, size_t pos) {
  const char first = text[pos];
  if (first == '\'') {
    if (const size_t size = Contraction<false>(text, pos)) return pos + size;
  }
  const size_t begin = first == ' ' && pos + 1 < text.size() ? pos + 1 : pos;
  const Char c = At<kDigitsApart>(text, begin);
  if (kDigitsApart && c.kind == kNumber) return begin == pos ? pos + c.size : begin;
  return c.kind == kSpace ? SpaceEnd(text, pos, kDigitsApart)
                          : RunEnd<kDigitsApart>(text, begin + c.size, c.kind);
}

}  // namespace

WordEnd WordEndOf(const std::vector<SplitSpec>& steps) {
  using Steps = std::vector<SplitSpec>;
  if (steps == Steps{{kLlama3Words}}) return Llama3End<3>;
  if (steps == Steps{{kQwen2Words}}) return Llama3End<1>;
  if (steps == Steps{{kGpt2Words}}) return Gpt2End<false>;
  if (steps == Steps{{kEachDigit}, {kGpt2Words}}) return Gpt2End<true>;
  return nullptr;
}

}  // namespace retort
