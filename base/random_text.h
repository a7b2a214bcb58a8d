// SPDX-License-Identifier: Apache-2.0
// Ids that are drawn at random.
#pragma once

#include <string>
#include <string_view>

namespace retort {

inline constexpr std::string_view kLettersAndDigits = "0123456789abcdefghijklmnopqrstuvwxyz";

// `size` of the alphabet's characters, each from one number of the generator.
template <class Generator>
std::string RandomText(Generator& random, std::string_view alphabet, int size) {
  std::string text;
  for (int i = 0; i < size; ++i) text += alphabet[random() % alphabet.size()];
  return text;
}

}  // namespace retort
