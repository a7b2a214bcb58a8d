// SPDX-License-Identifier: Apache-2.0
#include "base/hex.h"

#include "base/ascii.h"
#include "base/strings.h"

namespace retort {

std::string HexText(uint64_t number, int digits) {
  std::string out(static_cast<size_t>(digits), '0');
  for (auto digit = out.rbegin(); digit != out.rend(); ++digit, number >>= 4)
    *digit = kHexDigits[number & 15];
  return out;
}

std::string HexText(std::string_view bytes) {
  std::string out;
  out.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += {kHexDigits[byte >> 4], kHexDigits[byte & 15]};
  }
  return out;
}

int HexDigit(char c) {
  const char lower = LowerLetter(c);
  if (IsDigit(c)) return c - '0';
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

}  // namespace retort
