// SPDX-License-Identifier: Apache-2.0
// The classes of an expression in Ruby's syntax (\s, \p{L}, [[:alpha:]&&[^a]]), as PCRE2 says them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/regex_syntax.h"
#include "tokenizer/unicode.h"

namespace retort {

// Appends "\x{1C89}".
void AppendCode(char32_t code, std::string* out);

// Reads at pos_. Functions that read pass what they have read. Errors are Error{kInput} that name
// `where` and the expression.
class ClassReader {
 protected:
  // What an escape stands for.
  struct Class {
    const CodeSet* set;
    std::string category;  // the name of a general category, or "word"; "" for other sets
    bool negated;
  };

  ClassReader(std::string_view pattern, const std::string& where, const CategoryItems& items)
      : in_(pattern), where_(where), items_(items) {}

  // The class that begins at the backslash at pos_; nullopt for other escapes.
  std::optional<Class> ClassEscape();
  // \uHHHH; nullopt for other escapes.
  std::optional<char32_t> CodeEscape();
  // The brackets at pos_, translated.
  std::string Bracket();

  std::string InBrackets(const Class& of) const;
  // The class \w as what stands in brackets.
  std::string WordItems() const;

  std::string_view in_;
  const std::string& where_;
  const CategoryItems& items_;
  size_t pos_ = 0;

 private:
  bool AtText(std::string_view text) const;
  Class Property(bool negated);
  std::optional<Class> Posix();
  std::string Items(const Class& of) const;
  std::optional<std::string> SimpleBracket();
  char32_t BracketChar();
  char32_t HexChar();
  CodeSet BracketSet(int depth);
};

}  // namespace retort
