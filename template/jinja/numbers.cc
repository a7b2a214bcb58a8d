// SPDX-License-Identifier: Apache-2.0
// Numbers in a format's fields.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "template/jinja/characters.h"
#include "template/jinja/format.h"
#include "tokenizer/utf8.h"

namespace retort::jinja {
namespace {

constexpr int64_t kMostDigits = 1000;

std::string Grouped(const std::string& digits) {
  std::string out;
  const size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  for (size_t i = 0; i < whole; ++i) {
    if (i > 0 && (whole - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out + digits.substr(whole);
}

std::string IntegerDigits(Runtime& rt, uint64_t magnitude, const FieldSpec& spec) {
  char buffer[72];
  const int base = spec.type == 'x' || spec.type == 'X' ? 16
                   : spec.type == 'o'                   ? 8
                   : spec.type == 'b'                   ? 2
                                                        : 10;
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, magnitude, base);
  std::string digits(buffer, end.ptr);
  if (spec.type == 'X')
    std::ranges::transform(digits, digits.begin(), [](char c) {
      return c >= 'a' && c <= 'f' ? static_cast<char>(c - 32) : c;
    });
  if (base == 10 && spec.precision > static_cast<int64_t>(digits.size())) {
    rt.Make(static_cast<uint64_t>(spec.precision));
    digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
  }
  return digits;
}

// An exponent has at least two digits.
std::string FloatDigits(Runtime& rt, double magnitude, const FieldSpec& spec) {
  if (spec.precision > kMostDigits) throw rt.Fault("a format asks for too many digits");
  if (std::isnan(magnitude)) return "nan";
  if (std::isinf(magnitude)) return "inf";
  if (spec.type == 0 && spec.precision < 0) return FloatText(magnitude);
  const char type = spec.type == 0 ? 'g' : static_cast<char>(std::tolower(spec.type));
  const int precision = static_cast<int>(spec.precision < 0 ? 6 : spec.precision);
  const auto format = type == 'e'                  ? std::chars_format::scientific
                      : type == 'f' || type == '%' ? std::chars_format::fixed
                                                   : std::chars_format::general;
  std::string buffer(400 + static_cast<size_t>(precision), '\0');
  const double shown = type == '%' ? magnitude * 100 : magnitude;
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), shown, format, precision);
  buffer.resize(static_cast<size_t>(end.ptr - buffer.data()));
  if (type == '%') buffer += '%';
  if (spec.type == 'E' || spec.type == 'G') std::ranges::replace(buffer, 'e', 'E');
  return buffer;
}

bool IsFloatType(char type) {
  return std::string_view("eEfFgG%").find(type) != std::string_view::npos && type != 0;
}

}  // namespace

Text SetNumber(Runtime& rt, const Value& value, const FieldSpec& spec) {
  const auto whole = value.Integer();
  if (spec.type == 'c') {
    if (!whole || *whole < 0 || *whole > 0x10ffff) throw rt.Fault("a format's %c is no character");
    std::string character;
    AppendUtf8(static_cast<char32_t>(*whole), &character);
    return Padded(rt, Text(character), spec);
  }
  std::string digits, prefix;
  bool negative = false;
  if (whole && !IsFloatType(spec.type)) {
    negative = *whole < 0;
    digits = IntegerDigits(
        rt, negative ? 0 - static_cast<uint64_t>(*whole) : static_cast<uint64_t>(*whole), spec);
    if (spec.alternate && spec.type && std::string_view("xXob").find(spec.type) < 4)
      prefix = std::string("0") + spec.type;
  } else {
    const auto real = value.Real();
    if (!real) throw rt.Fault("a format needs a number, not ", value.TypeName());
    negative = std::signbit(*real) && !std::isnan(*real);
    digits = FloatDigits(rt, std::fabs(*real), spec);
  }
  if (spec.grouped) digits = Grouped(digits);
  const std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  if (spec.align == '=' && spec.width > 0) {
    const auto size = static_cast<int64_t>(sign.size() + prefix.size() + digits.size());
    const auto missing = static_cast<uint64_t>(std::max<int64_t>(spec.width - size, 0));
    rt.Make(missing, spec.fill.size());
    std::string fill;
    for (uint64_t i = 0; i < missing; ++i) fill += spec.fill;
    return Text(sign + prefix + fill + digits);
  }
  FieldSpec placed = spec;
  if (!placed.align) placed.align = '>';
  return Padded(rt, Text(sign + prefix + digits), placed);
}

Text Padded(Runtime& rt, Text text, const FieldSpec& spec) {
  const int64_t missing = spec.width - CountCharacters(text.view());
  if (missing <= 0) return text;
  rt.Make(static_cast<uint64_t>(missing), spec.fill.size());
  const int64_t left = spec.align == '>' || spec.align == '=' ? missing
                       : spec.align == '^'                    ? missing / 2
                                                              : 0;
  std::string before, behind;
  for (int64_t i = 0; i < missing; ++i) (i < left ? before : behind) += spec.fill;
  Text out(before);
  out.Append(text).Append(behind);
  out.html = text.html;
  return out;
}

}  // namespace retort::jinja
