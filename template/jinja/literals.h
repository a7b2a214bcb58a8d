// SPDX-License-Identifier: Apache-2.0
// Literals of the template's language.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace retort::jinja {

// The text between quotes with its escapes carried out, as Python's: \n, \x41, \u00e9, \101.
// nullopt if one is not complete or is no character. An unknown one stays as it is.
std::optional<std::string> Unescaped(std::string_view text);

struct NumberLiteral {
  size_t size = 0;  // bytes; 0: no number, or beyond 64 bits
  bool whole = true;
  int64_t integer = 0;
  double real = 0;
};
// The number that the text begins with: 12, 1_000, 0x1f, 0b1, 0o7, 1.5, 2e10.
NumberLiteral ReadNumber(std::string_view text);

// int(text) and float(text) of Python.
std::optional<int64_t> ParseInt(std::string_view text, int base);
std::optional<double> ParseFloat(std::string_view text);

}  // namespace retort::jinja
