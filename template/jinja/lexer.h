// SPDX-License-Identifier: Apache-2.0
// A template's text as tokens. White space is handled as transformers sets Jinja up: trim_blocks (a
// tag takes the line end behind it) and lstrip_blocks (and the spaces before it in its line), with
// "-" and "+" at tags; one line end at the end of the text is dropped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace retort::jinja {

inline constexpr size_t kLongestTemplate = size_t{1} << 20;

struct Token {
  enum class Kind : uint8_t {
    kText,      // between tags
    kPrint,     // {{
    kPrintEnd,  // }}
    kBlock,     // {%
    kBlockEnd,  // %}
    kName,
    kString,  // without quotes and escapes
    kInt,
    kFloat,
    kSign,  // an operator or bracket
    kEnd
  };
  Kind kind = Kind::kEnd;
  std::string text;
  int line = 1;
  int64_t integer = 0;
  double number = 0;

  bool Sign(std::string_view sign) const { return kind == Kind::kSign && text == sign; }
  bool Name(std::string_view name) const { return kind == Kind::kName && text == name; }
};

// "WHERE: chat template, line 3: MESSAGE"
Error SyntaxFault(const std::string& where, int line, std::string_view message);

// The last token is kEnd. Throws a SyntaxFault, also on a text that is too long or not UTF-8.
std::vector<Token> Tokenize(std::string_view source, const std::string& where);

}  // namespace retort::jinja
