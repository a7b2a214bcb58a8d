// SPDX-License-Identifier: Apache-2.0
#include "template/jinja/literals.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/ascii.h"
#include "template/jinja/characters.h"
#include "tokenizer/utf8.h"

namespace retort::jinja {
namespace {

// The number of that many digits at `at`, or -1.
int64_t Digits(std::string_view text, size_t at, size_t count, int base) {
  if (at + count > text.size()) return -1;
  int64_t value = 0;
  const auto part = text.substr(at, count);
  const auto end = std::from_chars(part.data(), part.data() + count, value, base);
  return end.ptr == part.data() + count && end.ec == std::errc() ? value : -1;
}

std::optional<char> Simple(char c) {
  static constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
  const size_t i = kFrom.find(c);
  if (i == std::string_view::npos) return std::nullopt;
  return kTo[i];
}

// Digits with single underscores between them; the end of the run.
size_t DigitRun(std::string_view text, size_t at, std::string* digits) {
  while (at < text.size()) {
    if (IsDigit(text[at])) {
      *digits += text[at++];
    } else if (text[at] == '_' && at + 1 < text.size() && IsDigit(text[at + 1]) &&
               !digits->empty() && IsDigit(digits->back())) {
      ++at;
    } else {
      break;
    }
  }
  return at;
}

NumberLiteral ReadWithBase(std::string_view text, int base) {
  NumberLiteral out;
  std::string digits;
  size_t at = 2;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    int value = 99;
    if (IsDigit(c)) value = c - '0';
    if (c >= 'a' && c <= 'f') value = c - 'a' + 10;
    if (c >= 'A' && c <= 'F') value = c - 'A' + 10;
    if (c == '_') continue;
    if (value >= base) break;
    digits += c;
  }
  const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), out.integer, base);
  if (!digits.empty() && end.ec == std::errc()) out.size = at;
  return out;
}

}  // namespace

std::optional<std::string> Unescaped(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\\' || at + 1 == text.size()) {
      out += text[at];
      continue;
    }
    const char c = text[++at];
    if (c == '\n') continue;
    if (const auto simple = Simple(c)) {
      out += *simple;
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const size_t count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      const int64_t code = Digits(text, at + 1, count, 16);
      if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return std::nullopt;
      AppendUtf8(static_cast<char32_t>(code), &out);
      at += count;
    } else if (c >= '0' && c <= '7') {
      size_t count = 1;
      while (count < 3 && at + count < text.size() && text[at + count] >= '0' &&
             text[at + count] <= '7')
        ++count;
      AppendUtf8(static_cast<char32_t>(Digits(text, at, count, 8)), &out);
      at += count - 1;
    } else if (c == 'N') {
      return std::nullopt;  // a character by its name
    } else {
      out += '\\';
      out += c;
    }
  }
  return out;
}

NumberLiteral ReadNumber(std::string_view text) {
  if (text.size() > 2 && text[0] == '0') {
    const char mark = text[1];
    if (mark == 'x' || mark == 'X') return ReadWithBase(text, 16);
    if (mark == 'o' || mark == 'O') return ReadWithBase(text, 8);
    if (mark == 'b' || mark == 'B') return ReadWithBase(text, 2);
  }
  NumberLiteral out;
  std::string digits;
  size_t at = DigitRun(text, 0, &digits);
  const size_t whole_end = at;
  if (at + 1 < text.size() && text[at] == '.' && IsDigit(text[at + 1])) {
    digits += '.';
    at = DigitRun(text, at + 1, &digits);
    out.whole = false;
  }
  size_t exponent = at + 1;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    if (exponent < text.size() && (text[exponent] == '+' || text[exponent] == '-')) ++exponent;
    if (exponent < text.size() && IsDigit(text[exponent])) {
      digits += 'e';
      if (text[exponent - 1] == '-') digits += '-';
      at = DigitRun(text, exponent, &digits);
      out.whole = false;
    }
  }
  if (out.whole) {
    const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), out.integer);
    if (end.ec == std::errc()) out.size = whole_end;
    return out;
  }
  std::from_chars(digits.data(), digits.data() + digits.size(), out.real);
  out.size = at;
  return out;
}

std::optional<int64_t> ParseInt(std::string_view text, int base) {
  const Text stripped = Stripped(Text(std::string(text)), Side::kBoth);
  std::string_view digits = stripped.view();
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  const auto prefix = [&](std::string_view lower, std::string_view upper, int of) {
    if ((base != of && base != 0) || !(digits.starts_with(lower) || digits.starts_with(upper)))
      return false;
    digits.remove_prefix(2);
    base = of;
    return true;
  };
  if (!prefix("0x", "0X", 16) && !prefix("0o", "0O", 8)) prefix("0b", "0B", 2);
  if (base == 0) base = 10;
  std::string plain;
  for (size_t i = 0; i < digits.size(); ++i) {
    const bool joins = digits[i] == '_' && i > 0 && i + 1 < digits.size() && digits[i - 1] != '_';
    if (!joins) plain += digits[i];
  }
  if (plain.empty() || plain[0] == '-' || plain[0] == '+' || base < 2 || base > 36)
    return std::nullopt;
  if (negative) plain.insert(0, "-");
  int64_t value = 0;
  const auto end = std::from_chars(plain.data(), plain.data() + plain.size(), value, base);
  if (end.ec != std::errc() || end.ptr != plain.data() + plain.size()) return std::nullopt;
  return value;
}

std::optional<double> ParseFloat(std::string_view text) {
  const Text stripped = Stripped(Text(std::string(text)), Side::kBoth);
  std::string plain;
  for (size_t i = 0; i < stripped.size(); ++i) {
    const char c = stripped.view()[i];
    const bool joins = c == '_' && i > 0 && i + 1 < stripped.size() &&
                       IsDigit(stripped.view()[i - 1]) && IsDigit(stripped.view()[i + 1]);
    if (!joins) plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  if (plain.starts_with('+')) plain.erase(0, 1);
  if (plain.starts_with("-+") || plain.find('(') != std::string::npos) return std::nullopt;
  double value = 0;
  const auto end = std::from_chars(plain.data(), plain.data() + plain.size(), value);
  if (end.ptr != plain.data() + plain.size() || plain.empty()) return std::nullopt;
  if (end.ec == std::errc::result_out_of_range) {
    const bool tiny = plain.find("e-") != std::string::npos;
    const double size = tiny ? 0 : std::numeric_limits<double>::infinity();
    return plain.starts_with('-') ? -size : size;
  }
  return value;
}

}  // namespace retort::jinja
