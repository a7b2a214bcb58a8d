// SPDX-License-Identifier: Apache-2.0
// Commands that a person may paste.
#pragma once

#include <string>
#include <string_view>

namespace retort {

// The text as one word of a shell's command line: in single quotes, unless it is plain.
std::string ShellWord(std::string_view text);

}  // namespace retort
