// SPDX-License-Identifier: Apache-2.0
// Reads a Jinja text's tags and their tokens. Used by template/jinja_form.cc alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace retort {

struct JinjaToken {
  enum class Kind { kName, kNumber, kString, kOperator };
  Kind kind = Kind::kName;
  std::string text;  // a string's without quotes and escapes

  bool Is(std::string_view what) const { return kind != Kind::kString && text == what; }
  int Opens() const { return Is("(") || Is("[") || Is("{") ? 1 : 0; }
  int Closes() const { return Is(")") || Is("]") || Is("}") ? 1 : 0; }
  std::string Written() const;  // a string in one way of quoting
};
using JinjaTokens = std::vector<JinjaToken>;

struct JinjaTag {
  enum class Kind { kText, kOutput, kStatement };
  Kind kind = Kind::kText;
  std::string_view text;  // of kText, after white space control; borrowed
  JinjaTokens tokens;     // of the others
};

// Comments are left out. nullopt if a tag or a string is not closed, or a character or escape is
// not known.
std::optional<std::vector<JinjaTag>> JinjaTags(std::string_view jinja);

}  // namespace retort
