// SPDX-License-Identifier: Apache-2.0
// Hexadecimal digits. What is written is in lower case.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace retort {

inline constexpr std::string_view kHexDigits = "0123456789abcdef";

// The last `digits` digits of the number, the most significant one first, with leading zeros.
std::string HexText(uint64_t number, int digits);
// Two digits for each byte.
std::string HexText(std::string_view bytes);
// The value of a digit of either case, or -1.
int HexDigit(char c);

}  // namespace retort
