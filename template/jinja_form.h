// SPDX-License-Identifier: Apache-2.0
// A chat template's Jinja text in a normal form, in which spelling does not matter. Two texts with
// the same form render every conversation alike, so a text is recognised by what it renders.
//
// What the form leaves out: white space inside tags; white space control, trim_blocks and
// lstrip_blocks, which are carried out (as transformers sets Jinja up); comments; quotes and
// escapes of literals; whether text stands between tags or in a literal that is printed;
// message['role'] for message.role; names of variables that the template itself sets; the words of
// an exception; {% generation %}, which prints nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace retort {

struct JinjaPart {
  enum class Kind { kText, kOutput, kStatement };
  Kind kind = Kind::kText;
  std::string text;  // the literal text itself, or the tag's tokens with a space between them
};

// The parts in order, neighbouring texts joined. nullopt if the text is no Jinja that is read here
// (an unclosed tag, an unknown escape, {% raw %}).
std::optional<std::vector<JinjaPart>> JinjaParts(std::string_view jinja);

// The SHA-256 of the parts, in hexadecimal digits.
std::string JinjaSum(const std::vector<JinjaPart>& parts);

}  // namespace retort
