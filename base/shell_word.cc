// SPDX-License-Identifier: Apache-2.0
#include "base/shell_word.h"

#include "base/strings.h"

namespace retort {

std::string ShellWord(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+=:@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string_view::npos)
    return std::string(text);
  return Cat("'", ReplaceAll(std::string(text), "'", "'\\''"), "'");
}

}  // namespace retort
