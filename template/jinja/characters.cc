// SPDX-License-Identifier: Apache-2.0
#include "template/jinja/characters.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/ascii.h"
#include "template/jinja/special_case.h"
#include "tokenizer/utf8.h"

namespace retort::jinja {
namespace {

bool IsAscii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

size_t SizeAt(std::string_view text, size_t at) {
  if (static_cast<unsigned char>(text[at]) < 0x80) return 1;
  const Utf8Char c = DecodeUtf8(text, at);
  return c.valid ? static_cast<size_t>(c.size) : 1;
}

char32_t CodeAt(std::string_view text, size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  return byte < 0x80 ? byte : DecodeUtf8(text, at).code;
}

utf8proc_category_t CategoryOf(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

std::string Utf8(char32_t c) {
  std::string out;
  AppendUtf8(c, &out);
  return out;
}

std::string Folded(char32_t c) {
  utf8proc_int32_t out[8];
  int last = 0;
  const auto n =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), out, 8, UTF8PROC_CASEFOLD, &last);
  std::string text;
  for (utf8proc_ssize_t i = 0; i < std::min<utf8proc_ssize_t>(n, 8); ++i)
    AppendUtf8(static_cast<char32_t>(out[i]), &text);
  return text;
}

std::string FormOf(char32_t c, CaseForm form) {
  const auto point = static_cast<utf8proc_int32_t>(c);
  if (form == CaseForm::kFold) return Folded(c);
  if (form == CaseForm::kLower)
    return c == 0x130 ? "i\u0307" : Utf8(static_cast<char32_t>(utf8proc_tolower(point)));
  if (const SpecialCase* special = FindSpecialCase(c))
    return std::string(form == CaseForm::kUpper ? special->upper : special->title);
  return Utf8(static_cast<char32_t>(form == CaseForm::kUpper ? utf8proc_toupper(point)
                                                             : utf8proc_totitle(point)));
}

bool IsCased(char32_t c) { return IsUpper(c) || IsLower(c) || IsTitle(c); }

// Unicode's Case_Ignorable, as far as it matters beside a sigma.
bool IsCaseIgnorable(char32_t c) {
  switch (CategoryOf(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return c == '\'' || c == '.' || c == ':' || c == 0xb7 || c == 0x2019 || c == 0x2018 ||
             c == 0x2024 || c == 0x2027;
  }
}

// Whether the sigma at `at` ends a word: a cased character before it and none behind.
bool EndsWord(std::string_view text, size_t at) {
  size_t before = at;
  bool cased = false;
  while (before > 0) {
    before = PreviousUtf8(text, before);
    const char32_t c = CodeAt(text, before);
    if (IsCaseIgnorable(c)) continue;
    cased = IsCased(c);
    break;
  }
  if (!cased) return false;
  for (size_t i = at + SizeAt(text, at); i < text.size(); i += SizeAt(text, i)) {
    const char32_t c = CodeAt(text, i);
    if (!IsCaseIgnorable(c)) return !IsCased(c);
  }
  return true;
}

void AppendForm(const Text& from, size_t at, CaseForm form, Text& out) {
  constexpr char32_t kSigma = 0x3a3;
  const std::string_view text = from.view();
  const auto byte = static_cast<unsigned char>(text[at]);
  const Origin origin = from.OriginAt(at);
  if (byte < 0x80) {
    const bool up = form == CaseForm::kUpper || form == CaseForm::kTitle;
    char c = text[at];
    if (up && IsLowerLetter(c)) c = static_cast<char>(c - 32);
    if (!up && IsUpperLetter(c)) c = static_cast<char>(c + 32);
    out.Append(std::string_view(&c, 1), origin);
    return;
  }
  const Utf8Char c = DecodeUtf8(text, at);
  if (!c.valid)
    out.Append(text.substr(at, 1), origin);
  else if (form == CaseForm::kLower && c.code == kSigma && EndsWord(text, at))
    out.Append("ς", origin);
  else
    out.Append(FormOf(c.code, form), origin);
}

}  // namespace

int64_t CountCharacters(std::string_view text) {
  int64_t count = 0;
  for (size_t at = 0; at < text.size(); at += SizeAt(text, at)) ++count;
  return count;
}

std::vector<size_t> CharacterStarts(std::string_view text) {
  std::vector<size_t> starts;
  for (size_t at = 0; at < text.size(); at += SizeAt(text, at)) starts.push_back(at);
  starts.push_back(text.size());
  return starts;
}

size_t ByteOfCharacter(std::string_view text, int64_t character) {
  if (IsAscii(text)) return std::min(text.size(), static_cast<size_t>(character));
  size_t at = 0;
  for (; at < text.size() && character > 0; --character) at += SizeAt(text, at);
  return at;
}

bool IsPythonSpace(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

bool IsPrintable(char32_t c) {
  switch (CategoryOf(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return c == ' ';
    default:
      return true;
  }
}

bool IsUpper(char32_t c) { return utf8proc_isupper(static_cast<utf8proc_int32_t>(c)) != 0; }
bool IsLower(char32_t c) { return utf8proc_islower(static_cast<utf8proc_int32_t>(c)) != 0; }
bool IsTitle(char32_t c) { return CategoryOf(c) == UTF8PROC_CATEGORY_LT; }
bool IsDecimal(char32_t c) { return CategoryOf(c) == UTF8PROC_CATEGORY_ND; }
bool IsNumeric(char32_t c) {
  const auto category = CategoryOf(c);
  return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
         category == UTF8PROC_CATEGORY_NO;
}
bool IsLetter(char32_t c) {
  const auto category = CategoryOf(c);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

Text InCase(const Text& text, CaseForm form) {
  Text out;
  for (size_t at = 0; at < text.size(); at += SizeAt(text.view(), at))
    AppendForm(text, at, form, out);
  out.html = text.html;
  return out;
}

Text Capitalized(const Text& text) {
  Text out;
  for (size_t at = 0; at < text.size(); at += SizeAt(text.view(), at))
    AppendForm(text, at, at == 0 ? CaseForm::kTitle : CaseForm::kLower, out);
  out.html = text.html;
  return out;
}

Text Titled(const Text& text) {
  Text out;
  bool within = false;  // behind a cased character
  for (size_t at = 0; at < text.size(); at += SizeAt(text.view(), at)) {
    AppendForm(text, at, within ? CaseForm::kLower : CaseForm::kTitle, out);
    within = IsCased(CodeAt(text.view(), at));
  }
  out.html = text.html;
  return out;
}

Text SwappedCase(const Text& text) {
  Text out;
  for (size_t at = 0; at < text.size(); at += SizeAt(text.view(), at)) {
    const char32_t c = CodeAt(text.view(), at);
    if (IsUpper(c))
      AppendForm(text, at, CaseForm::kLower, out);
    else if (IsLower(c))
      AppendForm(text, at, CaseForm::kUpper, out);
    else
      out.Append(text, at, at + SizeAt(text.view(), at));
  }
  out.html = text.html;
  return out;
}

namespace {

template <class Cut>
Text StrippedWhere(const Text& text, Side side, const Cut& cut) {
  const std::string_view view = text.view();
  size_t begin = 0, end = view.size();
  while (side != Side::kRight && begin < end) {
    const size_t size = SizeAt(view, begin);
    if (!cut(view.substr(begin, size))) break;
    begin += size;
  }
  while (side != Side::kLeft && begin < end) {
    const size_t start = PreviousUtf8(view.substr(0, end), end);
    if (!cut(view.substr(start, end - start))) break;
    end = start;
  }
  return text.Sub(begin, end);
}

}  // namespace

Text Stripped(const Text& text, Side side) {
  return StrippedWhere(text, side, [](std::string_view c) { return IsPythonSpace(CodeAt(c, 0)); });
}

Text Stripped(const Text& text, Side side, std::string_view of) {
  const std::vector<size_t> starts = CharacterStarts(of);
  return StrippedWhere(text, side, [&](std::string_view c) {
    for (size_t i = 0; i + 1 < starts.size(); ++i) {
      if (of.substr(starts[i], starts[i + 1] - starts[i]) == c) return true;
    }
    return false;
  });
}

}  // namespace retort::jinja
