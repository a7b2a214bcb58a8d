// SPDX-License-Identifier: Apache-2.0
// Concatenation of text and numbers, and string helpers used by all folders.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace retort {

// One argument of Cat. Text is borrowed; a number is printed in its shortest exact form.
class CatArgument {
 public:
  CatArgument(std::string_view text) : text_(text) {}    // NOLINT: implicit on purpose
  CatArgument(const std::string& text) : text_(text) {}  // NOLINT
  CatArgument(const char* text) : text_(text) {}         // NOLINT
  CatArgument(char c) : number_(1, c), owned_(true) {}   // NOLINT
  CatArgument(bool b) : text_(b ? "true" : "false") {}   // NOLINT
  template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
  CatArgument(T value) : number_(NumberText(value)), owned_(true) {}  // NOLINT

  std::string_view text() const { return owned_ ? std::string_view(number_) : text_; }

 private:
  static std::string NumberText(long long v);
  static std::string NumberText(unsigned long long v);
  static std::string NumberText(double v);
  static std::string NumberText(float v);
  template <class T>
  static std::string NumberText(T v) {
    if constexpr (std::is_signed_v<T>)
      return NumberText(static_cast<long long>(v));
    else
      return NumberText(static_cast<unsigned long long>(v));
  }

  std::string_view text_;
  std::string number_;
  bool owned_ = false;
};

std::string CatArguments(std::initializer_list<CatArgument> pieces);

// Cat("tensor ", name, ": want ", 4, " rows")
template <class... Args>
std::string Cat(const Args&... args) {
  return CatArguments({CatArgument(args)...});
}

// "[4, 1024]"
std::string ShapeText(const std::vector<int64_t>& shape);

std::string Join(const std::vector<std::string>& parts, std::string_view separator);
std::vector<std::string> Split(std::string_view text, char separator);
std::string_view Strip(std::string_view text);  // without leading and trailing ASCII white space
bool StartsWith(std::string_view text, std::string_view prefix);
bool EndsWith(std::string_view text, std::string_view suffix);
char LowerLetter(char c);  // of ASCII
// Whether two texts are equal but for the case of ASCII letters.
bool SameIgnoringCase(std::string_view a, std::string_view b);
std::string LowerCase(std::string_view text);  // of ASCII letters
std::string ReplaceAll(std::string text, std::string_view from, std::string_view to);

// The member of `known` with the smallest edit distance to `name`, or "" if none is close; names
// longer than kLongestName are close to none, so the work is bounded. For "did you mean ..." in
// errors.
inline constexpr size_t kLongestName = 256;
std::string Nearest(std::string_view name, const std::vector<std::string>& known);

// "1.5 GiB", "312 MiB", "4.0 KiB", "17 B"
std::string BytesText(int64_t bytes);

}  // namespace retort
