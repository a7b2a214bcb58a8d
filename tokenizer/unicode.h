// SPDX-License-Identifier: Apache-2.0
// Unicode's properties of characters, from tables of our own (scripts/unicode-tables), so that ids
// do not depend on the versions of installed libraries. Models are trained with the ids of Hugging
// Face's library, whose parts know different versions of Unicode: expressions 16, "Digits" 17, "Punctuation"
// 8, normal forms and accents 9 (tokenizers 0.23).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace retort {

struct CodeRange {
  char32_t first, last;
};

// A set of characters: ascending ranges that neither touch nor overlap.
class CodeSet {
 public:
  CodeSet() = default;
  explicit CodeSet(std::vector<CodeRange> ranges);  // in any order

  const std::vector<CodeRange>& ranges() const { return ranges_; }
  bool Contains(char32_t code) const;
  CodeSet Complement() const;
  CodeSet Union(const CodeSet& other) const;
  CodeSet Intersection(const CodeSet& other) const;
  CodeSet Without(const CodeSet& other) const { return Intersection(other.Complement()); }

 private:
  std::vector<CodeRange> ranges_;
};

// A word's character, for single_word tokens: alphabetic, a mark, a decimal number, connecting
// punctuation, or a joiner (Unicode's Technical Standard 18).
bool IsWordChar(char32_t code);
// Whether Unicode 9 lacks a character: the library's normal forms leave it alone.
bool IsNewerThanUnicode9(char32_t code);
// The simple lower case.
char32_t LowerCase(char32_t code);

// The characters of a general category or a group of them ("L", "Lu", "Letter", "Uppercase_Letter"),
// a script ("Han"), or "Alphabetic", "White_Space", "Any". Case, spaces, '-' and '_' do not matter.
// nullptr: not known.
const CodeSet* PropertySet(std::string_view name);
// What \w stands for in expressions: a word's characters without the joiners, and the numbers of
// Latin-1.
const CodeSet& ExpressionWordChars();
const CodeSet& NumbersOfUnicode17();
// And all of ASCII that is neither control, space, letter nor digit.
const CodeSet& PunctuationOfUnicode8();
const CodeSet& MarksOfUnicode9();
// Characters whose category or script has changed since Unicode 14.
const CodeSet& ChangedSinceUnicode14();

}  // namespace retort
